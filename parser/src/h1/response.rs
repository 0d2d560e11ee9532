//! Response heads, from the status line to the blank line; interim (1xx) ones too.

use super::body::Declared;
use super::{
    Bad, Connection, FIELDS_MAX, FieldSlots, Fields, HeadError, HeadLimits, Known, Method, Parsed, ResponseBody,
    Version, fields,
};
use std::ops::Range;

/// A response head, borrowed from the buffer that it was received into.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'s, 'b> {
    /// The version of the server's message.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// As received; empty where it was missing or not ASCII.
    pub reason: &'b str,
    /// The fields, in the order received.
    pub fields: Fields<'s, 'b>,
    /// What follows the head.
    pub body: ResponseBody,
    /// `Content-Length`, also where there is no body: after HEAD and in a 304 it describes what a GET would get.
    pub content_length: Option<u64>,
    /// What the `Connection` fields ask for.
    pub connection: Connection,
    /// The server names another protocol, with `Upgrade` and with `Connection: upgrade`.
    pub upgrade: bool,
    /// Bytes of the head, the blank line included: the body starts here.
    pub head_len: usize,
}

impl ResponseHead<'_, '_> {
    /// Where the status line is among the [lines](Fields::lines), if it is written as we would write it.
    pub fn clean_line(&self) -> Option<Range<usize>> {
        let line = self.fields.first_line();
        let len = "HTTP/1.1 200 ".len() + self.reason.len() + "\r\n".len();
        (self.version == Version::H11 && line.len() == len).then_some(line)
    }

    /// Whether another response head follows for the same request. 101 is final: it ends HTTP on the connection.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Parses the response head at the start of `buf`, which answers a request of `method`.
pub fn parse<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut FieldSlots<'b>,
    limits: &HeadLimits,
    method: Method,
) -> Result<Parsed<ResponseHead<'s, 'b>>, HeadError> {
    // What lies beyond the limit is never looked at: the verdict must not depend on how much has arrived.
    let window = &buf[..buf.len().min(limits.bytes)];
    // The tokenizer would skip any number of empty lines.
    if matches!(window, [b'\r' | b'\n', ..]) {
        return Err(Bad::LeadingLines.into());
    }
    let FieldSlots { headers, known } = slots;
    let mut line = httparse::Response::new(&mut []);
    let len = match httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut line,
        window,
        &mut headers[..limits.fields.min(FIELDS_MAX)],
    )? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial if window.len() < limits.bytes => return Ok(Parsed::Partial),
        httparse::Status::Partial => return Err(HeadError::TooLarge),
    };
    let version = Version::from_minor(line.version);
    let status = line.code.filter(|&code| code >= 100).ok_or(Bad::StatusLine)?;

    let mut declared = Declared::default();
    let mut connection = Connection::default();
    let mut upgrade = false;
    let fields = fields::classify(&window[..len], line.headers, known, |field| {
        match field.known {
            Known::ContentLength => declared.content_length(field.value)?,
            Known::TransferEncoding => declared.transfer_encoding(field.value)?,
            Known::Connection => connection.add(field.value)?,
            Known::Upgrade => upgrade = true,
            _ => {}
        }
        Ok(())
    })?;

    Ok(Parsed::Complete(ResponseHead {
        version,
        status,
        reason: line.reason.unwrap_or_default(),
        fields,
        body: declared.response(version, method, status)?,
        content_length: declared.length(),
        connection,
        upgrade: upgrade && connection.upgrade,
        head_len: len,
    }))
}

#[cfg(test)]
mod tests;
