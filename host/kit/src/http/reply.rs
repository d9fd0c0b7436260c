//! Answers of a story as bytes on the wire.

use std::fmt::Write as _;

use crate::story::HttpFile;

/// An answer in the pieces that are sent one after another.
pub(super) struct Reply {
    pub head: Vec<u8>,
    pub pieces: Vec<Vec<u8>>,
}

/// What a server that is asked too often says.
pub(super) const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl Reply {
    pub fn of(file: &HttpFile) -> Self {
        let mut head = format!("HTTP/1.1 {} {}\r\n", file.status, reason(file.status));
        for (name, value) in &file.answer_headers {
            let _written = write!(head, "{name}: {value}\r\n");
        }
        let is_chunked = !file.answer_chunks.is_empty() || !file.answer_trailers.is_empty();
        let whole: Vec<&[u8]> = match &file.answer {
            Some(content) => vec![&content.0],
            None => file.answer_chunks.iter().map(|content| content.0.as_slice()).collect(),
        };
        let mut pieces = Vec::new();
        if is_chunked {
            head.push_str("transfer-encoding: chunked\r\n");
            for piece in whole.iter().filter(|piece| !piece.is_empty()) {
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(piece);
                chunk.extend_from_slice(b"\r\n");
                pieces.push(chunk);
            }
            let mut end = "0\r\n".to_owned();
            for (name, value) in &file.answer_trailers {
                let _written = write!(end, "{name}: {value}\r\n");
            }
            pieces.push(format!("{end}\r\n").into_bytes());
        } else {
            let length: usize = whole.iter().map(|piece| piece.len()).sum();
            if !matches!(file.status, 204 | 304) {
                let _written = write!(head, "content-length: {length}\r\n");
                pieces.extend(whole.into_iter().map(<[u8]>::to_vec));
            }
        }
        head.push_str("connection: close\r\n\r\n");
        Self { head: head.into_bytes(), pieces }
    }

    /// The head and the first half of the body, which says that it is longer.
    pub fn half(file: &HttpFile) -> Self {
        let whole: Vec<u8> = match &file.answer {
            Some(content) => content.0.clone(),
            None => file.answer_chunks.iter().flat_map(|content| content.0.clone()).collect(),
        };
        let mut cut = file.clone();
        cut.answer_chunks.clear();
        cut.answer_trailers.clear();
        // An answer without a body breaks off where one would begin.
        cut.answer = Some(crate::story::Content(if whole.is_empty() { b"..".to_vec() } else { whole }));
        let mut reply = Self::of(&cut);
        for piece in &mut reply.pieces {
            piece.truncate(piece.len() / 2);
        }
        reply
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
