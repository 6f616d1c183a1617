# Copies the shared libraries of `executables` into the installation, each under the
# name by which it is asked for: without links, so that archives of any kind hold it.
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${executables} RESOLVED_DEPENDENCIES_VAR found
  UNRESOLVED_DEPENDENCIES_VAR missing
  PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread)\\.so" "^ld-linux")
if(missing)
  message(FATAL_ERROR "libraries that halcyon needs are not there: ${missing}")
endif()
set(folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/halcyon/lib")
file(MAKE_DIRECTORY "${folder}")
foreach(library ${found})
  get_filename_component(name "${library}" NAME)
  file(REAL_PATH "${library}" real)
  message(STATUS "Installing: ${folder}/${name}")
  file(COPY_FILE "${real}" "${folder}/${name}" ONLY_IF_DIFFERENT)
endforeach()
