#!/bin/sh
# Looks at real screens in tmux: `Tests/Screens/screens.sh DFTOP CAPTURE-FILE`. Prints what it saw of each step and ends
# with 1 when a screen lacks what it must show, or when a row is wider than the terminal.
set -eu
binary=${1:?usage: screens.sh DFTOP CAPTURE-FILE}
file=${2:?usage: screens.sh DFTOP CAPTURE-FILE}
name=dftop-screens-$$
failed=0
export LC_ALL=C.UTF-8
tm() { tmux -L "$name" "$@"; }
trap 'tm kill-server 2>/dev/null || true' EXIT

# Waits up to 15 s for a text on the screen; the second argument says what was tried.
see() {
    for _ in $(seq 150); do
        if tm capture-pane -p | grep -qF -- "$1"; then
            echo "ok   $2"
            return 0
        fi
        sleep 0.1
    done
    echo "FAIL $2: '$1' is not on the screen:"
    tm capture-pane -p
    failed=1
}

# No row may be longer than the screen: that would be a broken cell.
narrow() {
    widest=$(tm capture-pane -p | python3 -c 'import sys, unicodedata
print(max((sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line.rstrip("\n")) for line in sys.stdin), default=0))')
    if [ "$widest" -gt "$1" ]; then
        echo "FAIL a row has $widest cells on a screen of $1"
        failed=1
    fi
}

for size in "80 24" "200 50"; do
    set -- $size
    columns=$1 rows=$2
    tm -u new-session -d -x "$columns" -y "$rows" -e TERM=tmux-256color "$binary -r '$file'"
    see "done" "$columns x $rows: the replay ends"
    see "Busiest services" "overview"
    narrow "$columns"
    tm send-keys 2
    see "CLIENT" "flows"
    narrow "$columns"
    tm send-keys Enter
    see "flow id" "details"
    tm send-keys Escape
    tm send-keys s
    see "Sort by" "sort menu"
    tm send-keys Escape
    tm send-keys /
    see "filter:" "filter line"
    tm send-keys "stauts:4" Enter
    see "did you mean status" "a wrong filter is explained"
    tm send-keys Escape
    tm send-keys "?"
    see "Help: Flows" "help"
    tm send-keys Escape
    for view in "3 RESOURCE" "4 SERVICE" "5 FLOWS" "8 ADDRESSES" "0 DROPPED"; do
        tm send-keys "${view%% *}"
        see "${view#* }" "view ${view%% *}"
        narrow "$columns"
    done
    tm send-keys 6
    see "not part of this build" "views to come say so"
    tm send-keys 2
    tm resize-window -x 100 -y 30
    see "CLIENT" "after a resize"
    narrow 100
    tm send-keys Space
    see "PAUSED" "pause"
    tm send-keys q
    for _ in $(seq 50); do
        tm has-session 2>/dev/null || break
        sleep 0.1
    done
    if tm has-session 2>/dev/null; then
        echo "FAIL it is still there after q"
        failed=1
        tm kill-server
    fi
done
exit $failed
