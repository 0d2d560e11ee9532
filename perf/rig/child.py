"""A function in a process of its own, so that an attacker does not share an interpreter with the client it may hurt."""
import multiprocessing
import os
import signal
import threading

FORK = multiprocessing.get_context("fork")
END_SECONDS = 10


class Child:
    """Runs `function(channel, *arguments)`; what it returns is the last thing that it tells."""

    def __init__(self, function, *arguments, nice=0):
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=_run, args=(function, theirs, self.pipe, nice, arguments), daemon=True)
        self.process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def told(self, seconds):
        """The next thing that it tells."""
        if not self.pipe.poll(seconds):
            raise RuntimeError(f"{self.process.name} says nothing for {seconds} s")
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_told(self, seconds):
        """Waits for as long for something to be told; whether there is."""
        return self.pipe.poll(seconds)

    def stop(self):
        try:
            self.pipe.send("stop")
        except OSError:
            pass  # it has ended


class Channel:
    """The child's side: tells, and knows when it is to stop."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.stopped = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, something):
        self.pipe.send(something)

    def _listen(self):
        try:
            self.pipe.recv()
        except (EOFError, OSError):
            pass  # whoever started it is gone
        self.stopped.set()


def _run(function, pipe, theirs, nice, arguments):
    theirs.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(nice)
    channel = Channel(pipe)
    try:
        channel.tell(function(channel, *arguments))
    except BrokenPipeError:
        pass
    except Exception as error:  # told to whoever waits for an answer, and shown: the trace does not travel
        import traceback
        traceback.print_exc()
        channel.tell(RuntimeError(f"{function.__name__}: {error!r}"))
