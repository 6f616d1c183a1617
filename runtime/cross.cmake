# The runtime for other processors, where their C library is installed: what programs
# and libraries with `--target arm64-linux` and the like are linked with. Programs
# read no pictures and no packed files there: libpng, libjpeg and zlib are this system's alone.

get_target_property(runtime_sources halcyon_runtime SOURCES)
get_target_property(cli_sources halcyon_cli SOURCES)
get_target_property(vulkan_sources halcyon_vulkan SOURCES)
list(TRANSFORM cli_sources REPLACE "cli/image.cpp" "cli/no_libraries.cpp")

set(cross_libraries)
foreach(gnu aarch64-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu)
  file(GLOB cxx_headers /usr/${gnu}/include/c++/*/${gnu})
  if(NOT cxx_headers OR NOT EXISTS /usr/${gnu}/lib/libc.so OR NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    continue()
  endif()
  # Atomic operations are in the code: libgcc's functions for them are not linked.
  set(flags)
  if(gnu MATCHES aarch64)
    set(flags -mno-outline-atomics)
  endif()
  set(folder ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/${gnu})
  file(MAKE_DIRECTORY ${folder})
  foreach(library runtime cli vulkan)
    set(objects)
    foreach(source ${${library}_sources})
      string(REPLACE / _ name ${source})
      set(object ${CMAKE_CURRENT_BINARY_DIR}/${gnu}/${library}_${name}.o)
      add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CMAKE_CXX_COMPILER} --target=${gnu} ${flags} -std=c++20 -O2 -DNDEBUG -fPIC
          -Wall -Wextra -fno-exceptions -fno-rtti -fno-threadsafe-statics
          -fvisibility=hidden -fvisibility-inlines-hidden -ffunction-sections -U_GLIBCXX_ASSERTIONS
          -I${CMAKE_CURRENT_SOURCE_DIR}/include -I${CMAKE_CURRENT_SOURCE_DIR} -isystem ${HALIDE_INCLUDE}
          -isystem ${vulkan_headers}
          -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d VERBATIM)
      list(APPEND objects ${object})
    endforeach()
    set(archive ${folder}/libhalcyon_${library}.a)
    add_custom_command(OUTPUT ${archive}
      COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
      COMMAND ${CMAKE_AR} rcsD ${archive} ${objects}
      DEPENDS ${objects} VERBATIM)
    list(APPEND cross_libraries ${archive})
    install(FILES ${archive} DESTINATION lib/halcyon/runtime/${gnu})
  endforeach()
endforeach()
add_custom_target(halcyon-cross-runtimes ALL DEPENDS ${cross_libraries})
