# Writes files as C++ text, each named after its folder: "library/README.md".
# cmake -DFILES=a/a.h,b/b.c -DOUTPUT=Texts.cpp -P EmbedTexts.cmake
string(REPLACE "," ";" FILES "${FILES}")
set(text "#include \"compiler/emit/Texts.h\"\n\n#include \"llvm/Support/ErrorHandling.h\"\n\n")
string(APPEND text "llvm::StringRef halcyon::textOf(llvm::StringRef name) {\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  file(READ ${file} content)
  string(APPEND text "  if (name == \"${folder}/${name}\")\n    return R\"text(${content})text\";\n")
endforeach()
string(APPEND text "  llvm_unreachable(\"no text of this name\");\n}\n")
file(WRITE ${OUTPUT} "${text}")
