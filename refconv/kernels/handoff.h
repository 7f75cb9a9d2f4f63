/* What two threads need in order to wait for each other without sleeping. */
#include <stddef.h>

#if defined(_WIN32)
#include <windows.h>
#define let_others_run() ((void)SwitchToThread())
#else
#include <sched.h>
#define let_others_run() ((void)sched_yield())
#endif

#if defined(_MSC_VER)
/* Two steps at once may count as one, which is as good: somebody has stepped. */
static inline ptrdiff_t look(const ptrdiff_t *counter) { return *(const volatile ptrdiff_t *)counter; }
static inline void step(ptrdiff_t *counter) { ++*(volatile ptrdiff_t *)counter; }
#else
/* What was written before a step is seen by whoever has seen the step. */
static inline ptrdiff_t look(const ptrdiff_t *counter) { return __atomic_load_n(counter, __ATOMIC_ACQUIRE); }
static inline void step(ptrdiff_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELEASE); }
#endif
