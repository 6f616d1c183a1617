# find_package(@NAME@) gives the target @NAME@::@NAME@.
if(NOT TARGET @NAME@::@NAME@)
  get_filename_component(_@NAME@_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(@NAME@::@NAME@ @CMAKE_KIND@ IMPORTED)
  set_target_properties(@NAME@::@NAME@ PROPERTIES
    IMPORTED_LOCATION "${_@NAME@_root}/lib/@FILE@"
    INTERFACE_INCLUDE_DIRECTORIES "${_@NAME@_root}/include"
    INTERFACE_LINK_LIBRARIES "@CMAKE_NEEDS@")
  unset(_@NAME@_root)
endif()
