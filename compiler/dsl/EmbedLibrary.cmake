# Writes the library's .cnn files as C++ text.
# cmake -DFILES=a.cnn,b.cnn -DOUTPUT=Library.cpp -P EmbedLibrary.cmake
string(REPLACE "," ";" FILES "${FILES}")
set(text "#include \"compiler/dsl/Library.h\"\n\nusing namespace halcyon::dsl;\n\n")
string(APPEND text "static constexpr LibraryFile files[] = {\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  file(READ ${file} content)
  string(APPEND text "  {\"${name}\", R\"cnn(${content})cnn\"},\n")
endforeach()
string(APPEND text "};\n\nllvm::ArrayRef<LibraryFile> halcyon::dsl::libraryFiles() { return files; }\n")
file(WRITE ${OUTPUT} "${text}")
