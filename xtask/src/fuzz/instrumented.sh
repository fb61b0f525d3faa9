#!/bin/sh
# Cargo calls this for each crate of the workspace, with the compiler and its arguments. Adds what
# libFuzzer needs to see in the code. Optimised as what is around it: more makes the gateway's build
# longer than it makes the runs better. The checks of arithmetic and our own assertions stay on: the
# compiler would leave them out with this level, and most of what is looked for would not be seen.
case " $* " in
*' --crate-name build_script_'* | *' --crate-name ___ '*) ;;
*' --crate-name '*)
    exec "$@" -Copt-level=1 -Cdebug-assertions=on -Coverflow-checks=on \
        -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
