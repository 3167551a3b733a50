add_test(NAME integration.01-venue COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/venue_test.py $<TARGET_FILE:pxvenue>)
set_tests_properties(integration.01-venue PROPERTIES LABELS integration SKIP_RETURN_CODE 77 TIMEOUT 180)
