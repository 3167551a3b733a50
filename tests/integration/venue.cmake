add_test(NAME integration.venue COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/venue_test.py)
set_tests_properties(integration.venue PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 180
  ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
