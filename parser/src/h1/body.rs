//! Body framing by RFC 9112 section 6.3: how long the body of a message is. Decided here and nowhere else.

use super::{Bad, HeadError, LENGTH_MAX, Method, Version, list};

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// Neither length nor coding was declared: there is none.
    None,
    /// So many bytes, perhaps 0.
    Length(u64),
    /// Chunks, then a trailer section.
    Chunked,
}

/// The body of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// The status or the method of the request rules one out.
    None,
    /// So many bytes, perhaps 0.
    Length(u64),
    /// Chunks, then a trailer section.
    Chunked,
    /// All bytes until the connection ends.
    Close,
}

/// What the fields of a head say about its body, gathered field by field.
#[derive(Default)]
pub(super) struct Declared {
    length: Option<u64>,
    chunked: bool,
    other_coding: bool,
}

impl Declared {
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        // Section 6.3 (5) lets equal repetitions pass. Nobody sends them who means well.
        match self.length.replace(decimal(value).ok_or(Bad::ContentLength)?) {
            Some(_) => Err(Bad::ContentLengthRepeated.into()),
            None => Ok(()),
        }
    }

    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for coding in list(value) {
            // Nothing may follow `chunked`, itself included. Parameters are no part of any coding in use.
            if self.chunked || !is_token(coding) {
                return Err(Bad::TransferEncoding.into());
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.other_coding = true;
            }
        }
        Ok(())
    }

    /// The declared length, where nothing contradicts it.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(super) fn request(&self, version: Version) -> Result<RequestBody, HeadError> {
        self.refuse_contradictions(version)?;
        Ok(match self.length {
            _ if self.chunked => RequestBody::Chunked,
            Some(length) => RequestBody::Length(length),
            None => RequestBody::None,
        })
    }

    pub(super) fn response(&self, version: Version, method: Method, status: u16) -> Result<ResponseBody, HeadError> {
        self.refuse_contradictions(version)?;
        let tunnel = method == Method::Connect && (200..300).contains(&status);
        Ok(match self.length {
            _ if method.is_head() || tunnel || matches!(status, 100..200 | 204 | 304) => ResponseBody::None,
            _ if self.chunked => ResponseBody::Chunked,
            Some(length) => ResponseBody::Length(length),
            None => ResponseBody::Close,
        })
    }

    /// RFC 9112 section 6.1 allows to refuse both at once, which ends every doubt about which one counts.
    fn refuse_contradictions(&self, version: Version) -> Result<(), HeadError> {
        match self.chunked || self.other_coding {
            false => Ok(()),
            true if version == Version::H10 => Err(Bad::TransferEncodingInHttp10.into()),
            true if self.length.is_some() => Err(Bad::TwoFramings.into()),
            true if self.other_coding => Err(HeadError::UnknownTransferCoding),
            true => Ok(()),
        }
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let number = value.iter().try_fold(0u64, |sum, byte| sum.checked_mul(10)?.checked_add(digit(byte)?))?;
    (!value.is_empty() && number <= LENGTH_MAX).then_some(number)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && token_len(text) == text.len()
}

/// How much of the beginning is made of the bytes of tokens.
pub(crate) fn token_len(text: &[u8]) -> usize {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    text.iter().position(|byte| !is_tchar(byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ResponseBody as R;

    type Line = (&'static str, &'static str);

    fn declared(fields: &[(&str, &str)]) -> Result<Declared, HeadError> {
        let mut declared = Declared::default();
        for (name, value) in fields {
            match *name {
                "cl" => declared.content_length(value.as_bytes())?,
                _ => declared.transfer_encoding(value.as_bytes())?,
            }
        }
        Ok(declared)
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], expect: Result<RequestBody, HeadError>) {
        assert_eq!(declared(fields).and_then(|declared| declared.request(Version::H11)), expect);
    }

    #[test]
    fn a_plain_length_or_a_single_chunked_frames_a_request() {
        check(&[], Ok(RequestBody::None));
        check(&[("cl", "0")], Ok(RequestBody::Length(0)));
        check(&[("cl", "005")], Ok(RequestBody::Length(5)));
        check(&[("cl", "9223372036854775807")], Ok(RequestBody::Length(LENGTH_MAX)));
        check(&[("te", "chunked")], Ok(RequestBody::Chunked));
        check(&[("te", "ChunKED")], Ok(RequestBody::Chunked));
    }

    #[test]
    fn lengths_that_are_no_plain_number_are_refused() {
        let numbers = ["", "+1", "-1", "1 1", "1,1", "1,", "0x1", "1.0", "\"1\"", "1e2", "١", "9223372036854775808"];
        for value in numbers.into_iter().chain(["99999999999999999999999"]) {
            check(&[("cl", value)], Err(Bad::ContentLength.into()));
        }
        check(&[("cl", "5"), ("cl", "5")], Err(Bad::ContentLengthRepeated.into()));
        check(&[("cl", "5"), ("cl", "6")], Err(Bad::ContentLengthRepeated.into()));
    }

    #[test]
    fn codings_other_than_one_final_chunked_are_refused() {
        for value in ["", ",", "chunked,", "chunked, chunked", "chunked, gzip", "chunked;q=1", "chu nked", "[chunked]"]
        {
            check(&[("te", value)], Err(Bad::TransferEncoding.into()));
        }
        for value in ["gzip", "gzip, chunked", "xchunked", "identity", "identity, chunked"] {
            check(&[("te", value)], Err(HeadError::UnknownTransferCoding));
        }
        check(&[("te", "chunked"), ("te", "chunked")], Err(Bad::TransferEncoding.into()));
        check(&[("te", "gzip"), ("te", "chunked")], Err(HeadError::UnknownTransferCoding));
    }

    #[test]
    fn two_framings_and_codings_in_http_1_0_are_refused() {
        check(&[("cl", "5"), ("te", "chunked")], Err(Bad::TwoFramings.into()));
        check(&[("te", "gzip"), ("cl", "5")], Err(Bad::TwoFramings.into()));
        let old = declared(&[("te", "chunked")]).unwrap().request(Version::H10);
        assert_eq!(old, Err(Bad::TransferEncodingInHttp10.into()));
    }

    #[test]
    fn a_response_body_depends_on_method_and_status_first() {
        let cases: &[(&[Line], Method, u16, R)] = &[
            (&[("cl", "5")], Method::Get, 200, R::Length(5)),
            (&[("te", "chunked")], Method::Get, 200, R::Chunked),
            (&[], Method::Get, 200, R::Close),
            (&[("cl", "5")], Method::Head, 200, R::None),
            (&[("te", "chunked")], Method::Head, 200, R::None),
            (&[], Method::Post, 204, R::None),
            (&[("cl", "5")], Method::Get, 304, R::None),
            (&[], Method::Get, 101, R::None),
            (&[], Method::Get, 103, R::None),
            (&[("cl", "5")], Method::Connect, 200, R::None),
            (&[("cl", "5")], Method::Connect, 405, R::Length(5)),
        ];
        for &(fields, method, status, expect) in cases {
            let body = declared(fields).unwrap().response(Version::H11, method, status);
            assert_eq!(body, Ok(expect), "{fields:?} {method:?} {status}");
        }
        assert!(declared(&[("te", "gzip")]).unwrap().response(Version::H11, Method::Get, 200).is_err());
        assert!(declared(&[("te", "chunked"), ("cl", "1")]).unwrap().response(Version::H11, Method::Get, 200).is_err());
    }
}
