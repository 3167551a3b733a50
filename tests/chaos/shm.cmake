# Kills with SIGKILL the users of shared memory. The controls break one rule each, and must be seen to.
add_executable(shm_kill_test shm_kill_test.c shm_kill_workers.c)
target_link_libraries(shm_kill_test PRIVATE px_shm px_base)

add_test(NAME chaos.shm_kill COMMAND shm_kill_test --seconds 20)
set_tests_properties(chaos.shm_kill PROPERTIES LABELS chaos TIMEOUT 60)
foreach(control no-grace no-takeover lower-intent consume-first heartbeat-clear never-cleared)
  add_test(NAME chaos.shm_kill_${control} COMMAND shm_kill_test --seconds 15 --control ${control})
  set_tests_properties(chaos.shm_kill_${control} PROPERTIES LABELS chaos TIMEOUT 60)
endforeach()

# The viewer, while the viewed are dying.
add_test(NAME chaos.shm_view COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/shm_view.sh $<TARGET_FILE:pxshm> $<TARGET_FILE:shm_kill_test>)
set_tests_properties(chaos.shm_view PROPERTIES LABELS chaos TIMEOUT 60)
