/* For tests with liburcu: what it does inside is hidden from the thread sanitizer; web/rcu.h says what that orders. */
#pragma once

#ifdef PX_TSAN
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu.so\ncalled_from_lib:liburcu-cds.so\n";
}
#endif
