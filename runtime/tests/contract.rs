//! What an operation means: the contract that every kernel behind the seam has to keep. Each test runs on all of them.

mod contract {
    mod support;

    mod buffers;
    mod cancel;
    mod cores;
    mod datagrams;
    mod orphans;
    mod posted;
    mod queues;
    mod shutdown;
    mod streams;
    mod tasks;
    mod timers;
}
