# History, against a model, over REST.
foreach(name 60_history 61_pxctl 62_damage 63_stream)
  add_test(NAME integration.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
  set_tests_properties(integration.${name} PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 180
    ENVIRONMENT PX_BIN=${CMAKE_BINARY_DIR}/bin)
endforeach()
