foreach(name 40_overrun 41_restart 60_alerts)
  add_test(NAME integration.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
  set_tests_properties(integration.${name} PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 300
    ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
endforeach()
