//! A request as it stands on the wire, read byte by byte so that it can be sent on as it came.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest head of a request.
const HEAD_BYTES: usize = 128 << 10;
/// The longest request.
const REQUEST_BYTES: usize = 64 << 20;

/// A request that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub url: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// Without its chunks.
    pub body: Vec<u8>,
    /// Every byte that came.
    pub raw: Vec<u8>,
}

impl Asked {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads one request. `None` when the other side goes away without one.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), scheme: &str) -> io::Result<Option<Asked>> {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(end) = find(&raw, b"\r\n\r\n") {
            break end + 4;
        }
        if raw.len() > HEAD_BYTES {
            return Err(bad("the head of the request is too long"));
        }
        if stream.read_buf(&mut raw).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut asked =
        Asked { method: method.to_owned(), url: String::new(), headers, body: Vec::new(), raw: Vec::new() };
    asked.url = format!("{scheme}://{}{path}", asked.header("host").unwrap_or_default());
    let length = asked.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let is_chunked = asked.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    loop {
        let body = match (length, is_chunked) {
            (_, true) => unchunked(&raw[end..])?,
            (Some(length), false) => raw.get(end..end + length).map(<[u8]>::to_vec),
            (None, false) => Some(Vec::new()),
        };
        if let Some(body) = body {
            asked.body = body;
            asked.raw = raw;
            return Ok(Some(asked));
        }
        if raw.len() > REQUEST_BYTES {
            return Err(bad("the request is too long"));
        }
        if stream.read_buf(&mut raw).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The content of a chunked body; `None` when it goes on.
fn unchunked(mut rest: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Ok(None) };
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk has no size"))?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(rest.ends_with(b"\r\n").then_some(body));
        }
        let Some(piece) = rest.get(..size) else { return Ok(None) };
        body.extend_from_slice(piece);
        let Some(behind) = rest.get(size + 2..) else { return Ok(None) };
        rest = behind;
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_request_is_read_whole_however_its_body_comes() {
        for (text, body) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: x.example\r\n\r\n", ""),
            ("POST /a?b=c HTTP/1.1\r\nhost: x.example\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            (
                "POST /a?b=c HTTP/1.1\r\nhost: x.example\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                "hello",
            ),
        ] {
            let asked = read(&mut text.as_bytes(), "https").await.unwrap().unwrap();

            assert_eq!(asked.url, "https://x.example/a?b=c");
            assert_eq!(String::from_utf8(asked.body).unwrap(), body);
            assert_eq!(asked.raw, text.as_bytes());
        }
        assert_eq!(read(&mut &b""[..], "http").await.unwrap(), None);
        let broken = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhe";
        assert!(read(&mut &broken[..], "http").await.is_err());
    }
}
