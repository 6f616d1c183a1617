# What programs in WebAssembly are linked with: one object, which needs no C library.
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  set(wasm_object ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/wasm32/halcyon_runtime.o)
  file(MAKE_DIRECTORY ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/wasm32)
  add_custom_command(OUTPUT ${wasm_object}
    COMMAND ${CMAKE_CXX_COMPILER} --target=wasm32 -std=c++20 -O2 -ffreestanding -Wall -Wextra
      -fno-exceptions -fno-rtti -nostdinc++ -fvisibility=hidden -matomics -mbulk-memory
      -c ${CMAKE_CURRENT_SOURCE_DIR}/wasm/runtime.cpp -o ${wasm_object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/wasm/runtime.cpp VERBATIM)
  add_custom_target(halcyon-wasm-runtime ALL DEPENDS ${wasm_object})
  install(FILES ${wasm_object} DESTINATION lib/halcyon/runtime/wasm32)
endif()
