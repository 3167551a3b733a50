# Notifications, into sinks of the test's own.
add_test(NAME integration.50_notify COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/50_notify_test.py)
set_tests_properties(integration.50_notify PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 300
  ENVIRONMENT "PX_BIN=${CMAKE_BINARY_DIR}/bin;PX_NOTIFY_DEPS=${CMAKE_BINARY_DIR}/notify-deps")

add_test(NAME integration.51_silence COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/51_silence_test.py)
set_tests_properties(integration.51_silence PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 120
  ENVIRONMENT "PX_BIN=${CMAKE_BINARY_DIR}/bin")

add_test(NAME integration.52_outside COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/52_outside_test.py)
set_tests_properties(integration.52_outside PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 120
  ENVIRONMENT "PX_BIN=${CMAKE_BINARY_DIR}/bin")
