# History, against a model, over REST.
add_test(NAME integration.60_history COMMAND ${CMAKE_CURRENT_LIST_DIR}/60_history_test.py)
set_tests_properties(integration.60_history PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 180
  ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
