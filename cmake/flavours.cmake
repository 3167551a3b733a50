# Compiler flags per flavour. Each is one line, so that a difference between two builds can be read off here.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wvla -Wwrite-strings -Wimplicit-fallthrough -Wno-unused-parameter -Wno-clobbered -fno-omit-frame-pointer -fno-common)
add_compile_definitions(_GNU_SOURCE _LGPL_SOURCE)

if(PX_PRESET STREQUAL "dev")
  add_compile_options(-O1 -g -Werror -D_FORTIFY_SOURCE=2)
elseif(PX_PRESET STREQUAL "release")
  add_compile_options(-O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
elseif(PX_PRESET STREQUAL "asan")
  add_compile_options(-O1 -g -Werror -fsanitize=address,undefined -fno-sanitize-recover=undefined -DPX_ASAN)
  add_link_options(-fsanitize=address,undefined)
elseif(PX_PRESET STREQUAL "tsan")
  add_compile_options(-O1 -g -fsanitize=thread -DPX_TSAN)
  add_link_options(-fsanitize=thread)
else()
  message(FATAL_ERROR "PX_PRESET is '${PX_PRESET}'; it must be dev, release, asan or tsan")
endif()
