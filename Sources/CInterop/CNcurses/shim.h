// ncursesw. Macros, variadic functions and mutable globals do not import into Swift; each has one `dft_` function here.
#pragma once
#define _XOPEN_SOURCE_EXTENDED 1
#define NCURSES_WIDECHAR 1
#include <ncurses.h>
#include <locale.h>

static inline WINDOW *dft_stdscr(void) { return stdscr; }
