/* Builds that watch memory (REFCONV_BUILD=debug or sanitize) get scratch memory full of NaNs, with a forbidden strip after
 * each piece of it. Other builds get what the last call left there. */
#include <string.h>

#if defined(REFCONV_WATCH_MEMORY) && defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FORBID(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define ALLOW(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define FORBID(address, size) ((void)(address), (void)(size))
#define ALLOW(address, size) ((void)(address), (void)(size))
#endif

#if defined(REFCONV_WATCH_MEMORY)
enum { STRIP = 64 }; /* bytes */
#define MAKE_UNUSABLE(address, size) memset(address, 0xFF, size)
#else
enum { STRIP = 0 };
#define MAKE_UNUSABLE(address, size) ((void)(address), (void)(size))
#endif
