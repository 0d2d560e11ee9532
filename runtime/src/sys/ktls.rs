//! Records that the kernel makes and opens on a TCP connection (its "tls" protocol, linux/tls.h): what is sent is sealed
//! on its way out, what is received comes out of its records. Keys and counters are given by whoever agreed on them.
//! Nothing here knows what the records say.

use super::message::{Control, messages};
use socket2::{Domain, Socket, Type};
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// How one direction of a connection is sealed from its next record on.
#[derive(Clone, Copy)]
pub struct RecordKey<'a> {
    /// The form of the records.
    pub version: RecordVersion,
    /// What they are sealed with.
    pub cipher: RecordCipher,
    /// As many bytes as the cipher wants.
    pub key: &'a [u8],
    /// Where nonces begin. With AES and [`RecordVersion::Tls12`] its last eight bytes go with each record and are counted
    /// up by one for the next; else the number of the record is mixed in.
    pub nonce: [u8; 12],
    /// The number of the next record.
    pub sequence: u64,
}

/// The form of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What records are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordCipher {
    /// A key of 16 bytes.
    Aes128Gcm,
    /// A key of 32 bytes.
    Aes256Gcm,
    /// A key of 32 bytes.
    ChaCha20Poly1305,
}

/// A record that carries no bytes of the stream.
#[derive(Debug, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its type.
    pub kind: u8,
    /// What is in it; of a long one only the beginning.
    pub bytes: Vec<u8>,
}

/// Options of `SOL_TLS`, and the types of its control messages.
const TLS_SET_RECORD_TYPE: i32 = 1;
const TLS_GET_RECORD_TYPE: i32 = 2;

/// Bytes of a control record that are looked at.
const CONTROL_RECORD_BYTES: usize = 64;

/// Whether this kernel makes and opens records, of every version and cipher that there is here; if not, its error.
///
/// The kernel looks for the protocol before it looks at the connection, so one that has none says so at once (ENOENT).
/// That it has one does not mean that it has the ciphers, and a connection whose keys are only half accepted is lost:
/// so each is tried, on connections to ourselves. It takes a millisecond, and calls that may wait.
pub fn records_available() -> io::Result<()> {
    match attach(Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?.as_raw_fd()) {
        Err(error) if error.kind() != ErrorKind::NotConnected => return Err(error),
        _ => {}
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    for version in [RecordVersion::Tls12, RecordVersion::Tls13] {
        for cipher in [RecordCipher::Aes128Gcm, RecordCipher::Aes256Gcm, RecordCipher::ChaCha20Poly1305] {
            let near = TcpStream::connect(listener.local_addr()?)?;
            let _far = listener.accept()?;
            let key = RecordKey { version, cipher, key: &[0; 32][..cipher.key_bytes()], nonce: [0; 12], sequence: 0 };
            attach(near.as_raw_fd())?;
            set_keys(near.as_raw_fd(), &key, &key)?;
        }
    }
    Ok(())
}

/// Whether a receive has failed because a [`ControlRecord`] is next.
pub fn is_control(error: &io::Error) -> bool {
    error.raw_os_error() == Some(NEXT_IS_CONTROL)
}

/// With this error a receive fails that has no room for the type of a record. TCP itself has no use for it.
pub(crate) const NEXT_IS_CONTROL: i32 = libc::EIO;

/// Has the kernel stand ready to make records. Until it has keys, bytes pass as they did.
pub(crate) fn attach(fd: RawFd) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")
}

/// From here on what is sent is sealed with `send`, and what is received was sealed with `receive`, also what waits in the
/// kernel already. After an error the connection is of no use.
pub(crate) fn set_keys(fd: RawFd, send: &RecordKey<'_>, receive: &RecordKey<'_>) -> io::Result<()> {
    let (send, receive) = (Info::of(send)?, Info::of(receive)?);
    set(fd, libc::SOL_TLS, libc::TLS_TX, send.bytes())?;
    set(fd, libc::SOL_TLS, libc::TLS_RX, receive.bytes())
}

/// Takes the record that is next and carries no bytes of the stream.
pub(crate) fn control_record(fd: RawFd) -> io::Result<ControlRecord> {
    let mut bytes = vec![0; CONTROL_RECORD_BYTES];
    let mut control = Control::room();
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is plain data for which all zeroes is the empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), control.len() as _);
    // SAFETY: all that `message` points to lives in this frame, is not used otherwise during the call, and has the
    // lengths that it names.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(count as usize);
    let written = (message.msg_controllen as usize).min(control.len());
    let kind = messages(&control[..written])
        .find(|(level, kind, _)| (*level, *kind) == (libc::SOL_TLS, TLS_GET_RECORD_TYPE))
        .and_then(|(_, _, data)| data.first().copied());
    kind.map(|kind| ControlRecord { kind, bytes }).ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

/// Sends a record of this type, if there is room for it.
pub(crate) fn send_control(fd: RawFd, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let mut control = Control::from(None);
    control.push(libc::SOL_TLS, TLS_SET_RECORD_TYPE, &[kind]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: as in `control_record`.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    message.msg_control = control.bytes().as_ptr().cast_mut().cast();
    message.msg_controllen = control.bytes().len() as _;
    // SAFETY: all that `message` points to outlives the call and has the lengths that it names; a send only reads it.
    let sent = unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set(fd: RawFd, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads `value.len()` bytes from `value`, and nothing after the call.
    let result = unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), value.len() as libc::socklen_t) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl RecordCipher {
    fn key_bytes(self) -> usize {
        match self {
            RecordCipher::Aes128Gcm => 16,
            RecordCipher::Aes256Gcm | RecordCipher::ChaCha20Poly1305 => 32,
        }
    }
}

/// A key as the kernel reads it: struct tls12_crypto_info_aes_gcm_128 and its like, which have no padding.
struct Info {
    bytes: [u8; INFO_BYTES_MAX],
    len: usize,
}

/// struct tls_crypto_info, then iv, key, salt and the number of the record.
const INFO_BYTES_MAX: usize = 4 + 12 + 32 + 8;

impl Info {
    fn of(key: &RecordKey<'_>) -> io::Result<Info> {
        if key.key.len() != key.cipher.key_bytes() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let version = match key.version {
            RecordVersion::Tls12 => libc::TLS_1_2_VERSION,
            RecordVersion::Tls13 => libc::TLS_1_3_VERSION,
        };
        // Of a nonce for AES the first four bytes are the salt.
        let (cipher, (salt, iv)) = match key.cipher {
            RecordCipher::Aes128Gcm => (libc::TLS_CIPHER_AES_GCM_128, key.nonce.split_at(4)),
            RecordCipher::Aes256Gcm => (libc::TLS_CIPHER_AES_GCM_256, key.nonce.split_at(4)),
            RecordCipher::ChaCha20Poly1305 => (libc::TLS_CIPHER_CHACHA20_POLY1305, key.nonce.split_at(0)),
        };
        let mut info = Info { bytes: [0; INFO_BYTES_MAX], len: 0 };
        let (version, cipher, sequence) = (version.to_ne_bytes(), cipher.to_ne_bytes(), key.sequence.to_be_bytes());
        for part in [&version[..], &cipher, iv, key.key, salt, &sequence] {
            info.bytes[info.len..info.len + part.len()].copy_from_slice(part);
            info.len += part.len();
        }
        Ok(info)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Info {
    /// Keys are not left lying about.
    fn drop(&mut self) {
        self.bytes.fill(0);
        black_box(&self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const NONCE: [u8; 12] = [0xa0, 0xa1, 0xa2, 0xa3, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7];

    fn key(version: RecordVersion, cipher: RecordCipher, key: &[u8]) -> RecordKey<'_> {
        RecordKey { version, cipher, key, nonce: NONCE, sequence: 0x0102_0304_0506_0708 }
    }

    #[test]
    fn keys_are_laid_out_as_the_kernel_reads_them() {
        #[track_caller]
        fn check(version: RecordVersion, cipher: RecordCipher, key_bytes: usize, expect: &[&[u8]]) {
            let bytes = vec![0x5a; key_bytes];
            assert_eq!(Info::of(&key(version, cipher, &bytes)).unwrap().bytes(), expect.concat());
        }
        let (salt, iv) = (&NONCE[..4], &NONCE[4..]);
        let sequence = [1, 2, 3, 4, 5, 6, 7, 8];
        let (v12, v13) = (0x0303u16.to_ne_bytes(), 0x0304u16.to_ne_bytes());
        let [aes_128, aes_256, chacha] = [51u16, 52, 54].map(u16::to_ne_bytes);
        let (short, long) = (&[0x5a; 16][..], &[0x5a; 32][..]);
        for (version, written) in [(RecordVersion::Tls12, &v12), (RecordVersion::Tls13, &v13)] {
            check(version, RecordCipher::Aes128Gcm, 16, &[written, &aes_128, iv, short, salt, &sequence]);
            check(version, RecordCipher::Aes256Gcm, 32, &[written, &aes_256, iv, long, salt, &sequence]);
            check(version, RecordCipher::ChaCha20Poly1305, 32, &[written, &chacha, &NONCE, long, &sequence]);
        }
    }

    #[test]
    fn a_layout_has_the_size_that_the_kernel_asks_for() {
        #[track_caller]
        fn check(cipher: RecordCipher, expect: usize) {
            let bytes = [0; 32];
            let key = key(RecordVersion::Tls13, cipher, &bytes[..cipher.key_bytes()]);
            assert_eq!(Info::of(&key).unwrap().bytes().len(), expect);
        }
        check(RecordCipher::Aes128Gcm, size_of::<libc::tls12_crypto_info_aes_gcm_128>());
        check(RecordCipher::Aes256Gcm, size_of::<libc::tls12_crypto_info_aes_gcm_256>());
        check(RecordCipher::ChaCha20Poly1305, size_of::<libc::tls12_crypto_info_chacha20_poly1305>());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for (cipher, len) in [(RecordCipher::Aes128Gcm, 32), (RecordCipher::ChaCha20Poly1305, 16)] {
            let bytes = vec![0; len];
            let error = Info::of(&key(RecordVersion::Tls13, cipher, &bytes)).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn what_the_kernel_has_is_told_the_same_each_time_and_is_true_of_connections() {
        let code = |found: io::Result<()>| found.err().map(|error| error.raw_os_error().unwrap());
        let first = code(records_available());
        assert_eq!(first, code(records_available()));
        let (near, _far) = pair();
        let attached = attach(near.as_raw_fd());
        match first {
            None => attached.unwrap(),
            // No such protocol: neither here nor on a connection.
            Some(libc::ENOENT) => assert_eq!(code(attached), Some(libc::ENOENT)),
            // Seen on no kernel so far; whatever is wrong, it is not the connection.
            Some(other) => assert_ne!(other, libc::ENOTCONN),
        }
    }

    #[test]
    fn without_keys_bytes_pass_as_they_did() {
        let (near, mut far) = pair();
        let _ = attach(near.as_raw_fd());
        // It has no keys, or not even the protocol: a record of no type there is.
        assert!(control_record(near.as_raw_fd()).is_err());
        io::Write::write_all(&mut &near, b"as it is").unwrap();
        let mut received = [0; 8];
        far.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"as it is");
    }

    #[test]
    fn what_was_received_without_a_type_is_no_record() {
        let (near, far) = pair();
        io::Write::write_all(&mut &far, b"bytes").unwrap();
        near.peek(&mut [0; 5]).unwrap();
        assert_eq!(control_record(near.as_raw_fd()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
