// ncursesw. Macros, variadic functions and mutable globals do not import into Swift; each has one `dft_` function here.
#pragma once
#ifndef _XOPEN_SOURCE_EXTENDED
#define _XOPEN_SOURCE_EXTENDED 1
#endif
#ifndef NCURSES_WIDECHAR
#define NCURSES_WIDECHAR 1
#endif
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

// What a dying process puts back, prepared while it is healthy: only async-signal-safe calls are left for the handler.
// A variable of the header itself would not be emitted by Swift's importer; one inside a function is.
struct dft_state {
    struct termios modes;
    volatile sig_atomic_t is_open;
    volatile sig_atomic_t wake_fd;
};
static inline struct dft_state *dft_terminal(void) {
    static struct dft_state state;
    return &state;
}

// Leaves the alternate screen, shows the cursor, ends mouse reports and attributes.
static inline void dft_restore_raw(void) {
    static const char out[] = "\033[?1006l\033[?1003l\033[?1002l\033[?1000l\033[0m\033[?25h\033[?1049l\033>\r";
    struct dft_state *state = dft_terminal();
    if (!state->is_open) return;
    state->is_open = 0;
    if (write(STDOUT_FILENO, out, sizeof out - 1) < 0) {}
    tcsetattr(STDIN_FILENO, TCSANOW, &state->modes);
}

// A fault of our own: put the terminal back, then die as we would have died.
static void dft_on_fault(int signal_number) {
    dft_restore_raw();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

// A request to end: one byte to the screen's loop, which closes in order.
static void dft_on_stop(int signal_number) {
    unsigned char byte = (unsigned char)signal_number;
    int fd = dft_terminal()->wake_fd;
    if (fd > 0 && write(fd, &byte, 1) < 0) {}
}

static inline void dft_install_signals(int wake_fd) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    static const int stops[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    dft_terminal()->wake_fd = wake_fd;
    action.sa_handler = dft_on_fault;
    action.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigaction(faults[i], &action, NULL);
    action.sa_handler = dft_on_stop;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) sigaction(stops[i], &action, NULL);
}

static inline void dft_restore_signals(void) {
    static const int all[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) signal(all[i], SIG_DFL);
    dft_terminal()->wake_fd = 0;
}

// 1: characters are UTF-8. A locale without it, such as C over ssh, still gets UTF-8 for characters.
static inline int dft_set_locale(void) {
    setlocale(LC_ALL, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return 1;
    if (setlocale(LC_CTYPE, "C.UTF-8") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return 1;
    return 0;
}

// 0: there is no terminal, or its kind is unknown.
static inline int dft_open(void) {
    if (tcgetattr(STDIN_FILENO, &dft_terminal()->modes) != 0) return 0;
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen) return 0;
    set_term(screen);
    dft_terminal()->is_open = 1;
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE);
    set_escdelay(25);
    curs_set(0);
    mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(0);
    return 1;
}

static inline void dft_close(void) {
    if (!dft_terminal()->is_open) return;
    endwin();
    dft_terminal()->is_open = 0;
}

// For a suspended process: the terminal as it was, and ours again.
static inline void dft_suspend(void) { endwin(); raise(SIGSTOP); refresh(); }

static inline int dft_rows(void) { return getmaxy(stdscr); }
static inline int dft_columns(void) { return getmaxx(stdscr); }

// Number of colours to use: 0, 8, 16 or 256.
static inline int dft_start_colors(void) {
    if (!has_colors() || start_color() == ERR) return 0;
    use_default_colors();
    return COLORS >= 256 ? 256 : COLORS >= 16 ? 16 : COLORS >= 8 ? 8 : 0;
}
// More than 24 bits' worth: the terminal takes 0xRRGGBB as a colour number.
static inline int dft_is_direct(void) { return COLORS >= 0x1000000; }
static inline int dft_pair(int pair, int fg, int bg) { return init_extended_pair(pair, fg, bg); }

enum { DFT_BOLD = 1, DFT_REVERSE = 2, DFT_UNDERLINE = 4, DFT_DIM = 8 };

static inline void dft_attributes(int flags, int pair) {
    attr_t bits = A_NORMAL;
    if (flags & DFT_BOLD) bits |= A_BOLD;
    if (flags & DFT_REVERSE) bits |= A_REVERSE;
    if (flags & DFT_UNDERLINE) bits |= A_UNDERLINE;
    if (flags & DFT_DIM) bits |= A_DIM;
    wattr_set(stdscr, bits, (short)(pair > 32767 ? 0 : pair), &pair);
}

// One character at a place; `width` is what we think it takes: where the library thinks otherwise, a mark is drawn.
static inline void dft_put(int row, int column, uint32_t scalar, int width) {
    wchar_t text[2] = {(wchar_t)scalar, 0};
    if (scalar >= 127 && wcwidth((wchar_t)scalar) != width) text[0] = L'?';
    mvaddnwstr(row, column, text, 1);
    if (width == 2 && text[0] == L'?') mvaddnwstr(row, column + 1, L" ", 1);
}

static inline void dft_show(int row, int column) {
    if (row >= 0) {
        move(row, column);
        curs_set(1);
    } else {
        curs_set(0);
    }
    refresh();
}
static inline void dft_repaint(void) { clearok(stdscr, TRUE); }

// A key: > 0 a character, < 0 minus a KEY_ code, 0 nothing waits.
static inline int dft_key(void) {
    wint_t key = 0;
    int status = get_wch(&key);
    if (status == ERR) return 0;
    if (status == KEY_CODE_YES) return -(int)key;
    return (int)key;
}
static inline int dft_key_function(int number) { return KEY_F(number); }

// 1 and what the mouse did: 1 press, 2 double press, 4 wheel up, 5 wheel down.
static inline int dft_mouse(int *row, int *column, int *action) {
    MEVENT event;
    if (getmouse(&event) != OK) return 0;
    *row = event.y;
    *column = event.x;
    if (event.bstate & BUTTON4_PRESSED) *action = 4;
    else if (event.bstate & BUTTON5_PRESSED) *action = 5;
    else if (event.bstate & BUTTON1_DOUBLE_CLICKED) *action = 2;
    else if (event.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED)) *action = 1;
    else return 0;
    return 1;
}

enum {
    DFT_KEY_UP = KEY_UP, DFT_KEY_DOWN = KEY_DOWN, DFT_KEY_LEFT = KEY_LEFT, DFT_KEY_RIGHT = KEY_RIGHT,
    DFT_KEY_PPAGE = KEY_PPAGE, DFT_KEY_NPAGE = KEY_NPAGE, DFT_KEY_HOME = KEY_HOME, DFT_KEY_END = KEY_END,
    DFT_KEY_BACKSPACE = KEY_BACKSPACE, DFT_KEY_DC = KEY_DC, DFT_KEY_ENTER = KEY_ENTER, DFT_KEY_BTAB = KEY_BTAB,
    DFT_KEY_MOUSE = KEY_MOUSE, DFT_KEY_RESIZE = KEY_RESIZE
};
