# The dashboard's chart library, fetched once and checked against its digest. Without a network the build goes on and the
# dashboard says that its chart is missing; the next configuration tries again.
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/cmake/fetch-charts.sh ${CMAKE_SOURCE_DIR}/build/vendor RESULT_VARIABLE px_charts)
if(NOT px_charts EQUAL 0)
  message(WARNING "The chart library could not be fetched; the dashboard will have no chart.")
endif()
