//! What an operation means, on a real kernel: the contract that every kernel behind the seam has to keep.

mod contract {
    mod support;

    mod buffers;
    mod cancel;
    mod cores;
    mod datagrams;
    mod orphans;
    mod queues;
    mod shutdown;
    mod streams;
    mod tasks;
    mod timers;
}
