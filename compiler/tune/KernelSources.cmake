# Writes OUTPUT: a digest of the files SOURCES.
set(text "")
foreach(file ${SOURCES})
  file(SHA256 ${file} hash)
  string(APPEND text ${hash})
endforeach()
string(SHA256 digest "${text}")
string(SUBSTRING ${digest} 0 12 digest)
file(WRITE ${OUTPUT} "#define HALCYON_KERNEL_SOURCES \"${digest}\"\n")
