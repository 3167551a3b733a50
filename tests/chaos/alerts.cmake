# A bounded part; the whole is alerts_kill_test.py --kills 1000.
add_test(NAME chaos.alerts_kill COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/alerts_kill_test.py --kills 25)
set_tests_properties(chaos.alerts_kill PROPERTIES LABELS chaos SKIP_RETURN_CODE 77 TIMEOUT 300
  ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
