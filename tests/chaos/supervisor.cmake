# The supervisor: what it does to readers that hold on, which region it takes over, and what becomes of the engine when it is killed itself.
foreach(name supervisor_reader supervisor_takeover)
  add_executable(${name}_test ${name}_test.c)
  target_link_libraries(${name}_test PRIVATE px_supervisor px_heritage px_shm px_base)
  add_test(NAME chaos.${name} COMMAND ${name}_test)
  set_tests_properties(chaos.${name} PROPERTIES LABELS chaos TIMEOUT 60)
endforeach()

add_test(NAME chaos.supervisor_kill COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/supervisor_kill_test.py --kills 5)
set_tests_properties(chaos.supervisor_kill PROPERTIES LABELS chaos SKIP_RETURN_CODE 77 TIMEOUT 180
  ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
