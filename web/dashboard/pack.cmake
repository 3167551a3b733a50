# Packs the dashboard's files into one C source. Run as
#   cmake -DOUT=<file.c> -DGZIP_DIR=<scratch> "-DFILES=<url path>=<file>|…" -P pack.cmake
# The bytes enter through the assembler's .incbin, so that a large script costs the compiler nothing, and ETags are hashes of the
# content, so that equal files give an equal source.

function(content_type path typep)
  if(path MATCHES "\\.html$")
    set(type "text/html; charset=utf-8")
  elseif(path MATCHES "\\.css$")
    set(type "text/css; charset=utf-8")
  elseif(path MATCHES "\\.js$")
    set(type "text/javascript; charset=utf-8")
  elseif(path MATCHES "\\.svg$")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "pack.cmake knows no content type for ${path}")
  endif()
  set(${typep} "${type}" PARENT_SCOPE)
endfunction()

function(squeeze in out)
  execute_process(COMMAND gzip -9 -n -c "${in}" OUTPUT_FILE "${out}" RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip ${in}: ${failed}")
  endif()
endfunction()

string(REPLACE "|" ";" FILES "${FILES}")
file(MAKE_DIRECTORY "${GZIP_DIR}")
set(blobs "")
set(rows "")
set(i 0)
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([^=]+)=(.+)$" _ "${entry}")
  set(path "${CMAKE_MATCH_1}")
  set(file "${CMAKE_MATCH_2}")
  content_type("${path}" type)
  set(zip "${GZIP_DIR}/${i}.gz")
  squeeze("${file}" "${zip}")
  file(SHA256 "${file}" hash)
  file(SIZE "${file}" len)
  file(SIZE "${zip}" zip_len)
  string(APPEND blobs "BLOB(f${i}, \"${file}\")\nBLOB(z${i}, \"${zip}\")\n")
  string(APPEND rows "    {\"${path}\", \"${type}\", \"\\\"${hash}\\\"\", f${i}, ${len}, z${i}, ${zip_len}, \"\\\"${hash}-gzip\\\"\"},\n")
  math(EXPR i "${i} + 1")
endforeach()

file(WRITE "${OUT}" "/* Written by web/dashboard/pack.cmake; do not edit. */
#include \"web/dashboard/files_private.h\"

#define BLOB(name, file)                                                                   \\
    __asm__(\".pushsection .rodata\\n.balign 16\\npxi_blob_\" #name \":\\n.incbin \\\"\" file \"\\\"\\n.byte 0\\n.popsection\\n\"); \\
    extern const unsigned char name[] __asm__(\"pxi_blob_\" #name);

${blobs}
const struct px_static_file pxi_static_files[] = {
${rows}};
const size_t pxi_static_count = sizeof(pxi_static_files) / sizeof(pxi_static_files[0]);
")
