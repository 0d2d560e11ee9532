//! The admin socket: a unix socket that only its owner may open. One request and one answer a connection.
//!
//! Knows how to talk, not what to say: each [`Request`] goes to the control loop, which owns what it is about.

use super::protocol::{Answer, Reply, Request};
use ringferry_runtime::send_with_descriptors;
use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as BlockingListener;
use std::os::unix::net::{UnixDatagram, UnixStream as BlockingStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// Bytes of a request line.
const REQUEST_BYTES_MAX: u64 = 1024;

/// Clients at the same time; more wait in the listening queue.
const CLIENTS_MAX: usize = 8;

/// How long a client may take to ask, and then to take its answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepting failed, most likely for want of descriptors: how long until the next try.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// A request and the way back.
pub(super) type Asked = (Request, oneshot::Sender<Reply>);

/// The socket, bound. Its file goes away with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: Option<BlockingListener>,
    file: SocketFile,
}

impl AdminSocket {
    /// Binds `path`. A file that an earlier process left there is replaced; one that somebody answers at is not.
    pub fn bind(path: &Path) -> io::Result<AdminSocket> {
        match BlockingStream::connect(path) {
            Ok(_) => return Err(explained(ErrorKind::AddrInUse, "another process answers there; use another path")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Nobody listens: what is there is a socket that was left behind.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && is_socket(path) => {}
            Err(error) if is_socket(path) => return Err(error),
            Err(_) => return Err(explained(ErrorKind::AlreadyExists, "there is a file that is not a socket")),
        }
        // Under another name first: the socket is never to be seen with the wrong mode, and renaming replaces a stale
        // one in one step.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let listener = BlockingListener::bind(&fresh)?;
        let bound = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| fs::rename(&fresh, path))
            .and_then(|()| SocketFile::of(path));
        match bound {
            Ok(file) => Ok(AdminSocket { listener: Some(listener), file }),
            Err(error) => {
                _ = fs::remove_file(&fresh);
                Err(error)
            }
        }
    }

    /// The one at `path` that another process has passed on. Until it is served, its file is that one's.
    pub fn adopt(path: &Path, listener: OwnedFd) -> AdminSocket {
        AdminSocket { listener: Some(listener.into()), file: SocketFile { path: path.to_owned(), identity: None } }
    }

    /// The same socket, for another process.
    pub(super) fn to_pass(&self) -> Option<OwnedFd> {
        self.listener.as_ref()?.try_clone().ok().map(OwnedFd::from)
    }

    /// Answers clients by asking whoever reads `requests`: for ever, or until another process does.
    pub(super) async fn serve(mut self, requests: mpsc::Sender<Asked>) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        self.file.is_ours();
        let listener = UnixListener::from_std(listener)?;
        let room = Arc::new(Semaphore::new(CLIENTS_MAX));
        // Open for its descriptor alone: where connections have taken all others, it lets somebody ask what is wrong.
        let spare = Rc::new(Cell::new(UnixDatagram::unbound().ok()));
        let passed_on = Rc::new(Notify::new());
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return Ok(()) };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = passed_on.notified() => {
                    self.file.is_of_another();
                    return Ok(());
                }
            };
            let Ok((client, _)) = accepted else {
                if spare.take().is_none() {
                    sleep(ACCEPT_RETRY).await;
                    spare.set(UnixDatagram::unbound().ok());
                }
                continue;
            };
            let (requests, spare, passed_on) = (requests.clone(), spare.clone(), passed_on.clone());
            spawn_local(async move {
                // A client that went away, or was too slow, has nobody left to tell.
                _ = converse(client, requests, &passed_on).await;
                spare.set(spare.take().or_else(|| UnixDatagram::unbound().ok()));
                drop(place);
            });
        }
    }
}

async fn converse(mut client: UnixStream, requests: mpsc::Sender<Asked>, passed_on: &Notify) -> io::Result<()> {
    let Reply { answer, descriptors, is_last } = match timeout(CLIENT_TIMEOUT, read_request(&mut client)).await?? {
        Ok(request) => ask(request, requests).await,
        Err(message) => Answer::Error { message }.into(),
    };
    if is_last {
        passed_on.notify_one();
    }
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    if !descriptors.is_empty() {
        // Short, and the first that is sent: it fits the socket.
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        return send_with_descriptors(&client, &line, &descriptors);
    }
    timeout(CLIENT_TIMEOUT, client.write_all(&line)).await?
}

async fn read_request(client: &mut UnixStream) -> io::Result<Result<Request, String>> {
    let mut line = Vec::new();
    BufReader::new(client).take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.len() as u64 == REQUEST_BYTES_MAX && !line.ends_with(b"\n") {
        return Ok(Err(format!("the request is longer than {REQUEST_BYTES_MAX} bytes")));
    }
    Ok(serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}")))
}

async fn ask(request: Request, requests: mpsc::Sender<Asked>) -> Reply {
    let (sender, answer) = oneshot::channel();
    if requests.send((request, sender)).await.is_ok()
        && let Ok(answer) = answer.await
    {
        return answer;
    }
    Answer::Error { message: "it is ending just now".to_owned() }.into()
}

/// A socket in the file system, removed at the end if it is still ours: a successor may have replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// `None` while another process is to remove it.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: Some(identity(path)?) })
    }

    /// It goes with this value.
    fn is_ours(&mut self) {
        self.identity = identity(&self.path).ok();
    }

    /// It stays when this value goes.
    fn is_of_another(&mut self) {
        self.identity = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path).ok() == self.identity {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn explained(kind: ErrorKind, why: &str) -> io::Error {
    io::Error::new(kind, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::thread;
    use tokio::task::LocalSet;

    struct TempDir(PathBuf);

    impl TempDir {
        fn new(test: &str) -> TempDir {
            let path = std::env::temp_dir().join(format!("ringferry-admin-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            TempDir(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("admin.sock")
        }

        fn files(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_the_owner_may_open_it_and_nothing_is_left_behind() {
        let dir = TempDir::new("mode");
        let socket = AdminSocket::bind(&dir.socket()).unwrap();
        assert_eq!(fs::metadata(dir.socket()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.files(), 1);
        drop(socket);
        assert_eq!(dir.files(), 0);
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_but_not_one_in_use() {
        let dir = TempDir::new("stale");
        drop(BlockingListener::bind(dir.socket()).unwrap());
        let first = AdminSocket::bind(&dir.socket()).unwrap();
        assert_eq!(AdminSocket::bind(&dir.socket()).unwrap_err().kind(), ErrorKind::AddrInUse);

        // A successor took the path over: the first must not remove what is not its own.
        fs::remove_file(dir.socket()).unwrap();
        let successor = AdminSocket::bind(&dir.socket()).unwrap();
        drop(first);
        assert!(dir.socket().exists());
        drop(successor);
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_replaced() {
        let dir = TempDir::new("file");
        fs::write(dir.socket(), "precious").unwrap();
        assert_eq!(AdminSocket::bind(&dir.socket()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(dir.socket()).unwrap(), "precious");
    }

    /// Sends `request` to a socket whose control loop answers pings and yields; returns the line that comes back, and
    /// whether the file was there when the socket was gone.
    fn exchange(test: &str, request: &str) -> (String, bool) {
        let dir = TempDir::new(test);
        let socket = AdminSocket::bind(&dir.socket()).unwrap();
        let (path, request) = (dir.socket(), request.to_owned());
        let client = thread::spawn(move || {
            let mut stream = BlockingStream::connect(path).unwrap();
            // It may be refused before it was read to its end.
            _ = stream.write_all(request.as_bytes());
            _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = LocalSet::new().block_on(&runtime, async {
            let (sender, mut requests) = mpsc::channel(1);
            let server = spawn_local(socket.serve(sender));
            let answers = spawn_local(async move {
                while let Some((request, answer)) = requests.recv().await {
                    let reply = match request {
                        Request::Ping {} => Answer::Pong { version: "1".into(), pid: 2 }.into(),
                        Request::Yield { admin, .. } => Reply { is_last: admin, ..Answer::Yielded { pid: 2 }.into() },
                        other => panic!("{other:?}"),
                    };
                    answer.send(reply).unwrap();
                }
            });
            let answer = tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
            server.abort();
            _ = server.await;
            answers.abort();
            answer
        });
        (answer, dir.socket().exists())
    }

    #[test]
    fn who_has_not_served_yet_leaves_the_file_to_who_has() {
        let dir = TempDir::new("adopted");
        let first = AdminSocket::bind(&dir.socket()).unwrap();
        drop(AdminSocket::adopt(&dir.socket(), first.to_pass().unwrap()));
        assert!(dir.socket().exists());
    }

    #[test]
    fn the_file_stays_if_another_process_has_the_socket() {
        let yields = |admin| format!("{{\"command\":\"yield\",\"to\":7,\"admin\":{admin}}}\n");
        let yielded = "{\"answer\":\"yielded\",\"pid\":2}\n".to_owned();
        assert_eq!(exchange("kept", &yields(true)), (yielded.clone(), true));
        assert_eq!(exchange("not-kept", &yields(false)), (yielded, false));
    }

    #[test]
    fn a_line_asked_is_a_line_answered() {
        assert_eq!(
            exchange("ping", "{\"command\":\"ping\"}\n").0,
            "{\"answer\":\"pong\",\"version\":\"1\",\"pid\":2}\n"
        );
        let unknown = exchange("unknown", "{\"command\":\"stop\"}\n").0;
        assert!(unknown.starts_with("{\"answer\":\"error\",\"message\":\"not a request: unknown variant"), "{unknown}");
        let long = exchange("long", &"x".repeat(REQUEST_BYTES_MAX as usize)).0;
        assert_eq!(long, "{\"answer\":\"error\",\"message\":\"the request is longer than 1024 bytes\"}\n");
    }
}
