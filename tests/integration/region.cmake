add_test(NAME integration.30_region COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/30_region_test.py)
set_tests_properties(integration.30_region PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 120
  ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
