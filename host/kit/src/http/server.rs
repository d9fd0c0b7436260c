//! A server of a case: one connection, one request, one answer or the lack of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

use super::reply::{Reply, TOO_MANY};
use super::script::Turn;
use super::{Shared, record, wire};
use crate::report::Failure;
use crate::story::{HttpFault, HttpFile};
use crate::time::Work;

/// What a TLS client says first.
const HANDSHAKE: u8 = 0x16;

pub(super) async fn serve(shared: Arc<Shared>, host: String, port: u16, mut stream: DuplexStream) {
    let work = shared.time.work();
    let mut first = [0];
    if stream.read_exact(&mut first).await.is_err() {
        return;
    }
    let stream = Rewound { first: Some(first[0]), inner: stream };
    let served = if first[0] == HANDSHAKE {
        secured(shared.clone(), &host, port, stream, work).await
    } else {
        one(&shared, "http", stream, work).await
    };
    // The other side may go away whenever it likes.
    if let Err(error) = served
        && error.kind() == io::ErrorKind::InvalidData
    {
        shared.script.fail(Failure::new(format!("a request to {host} could not be read: {error}")));
    }
}

async fn secured(shared: Arc<Shared>, host: &str, port: u16, stream: Rewound, work: Work) -> io::Result<()> {
    let is_other = shared.script.fails_before(host, Some(port), HttpFault::BadCertificate);
    let name = if is_other { "somebody-else.invalid" } else { host };
    let acceptor = shared.authority.acceptor(name).map_err(io::Error::other)?;
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        // It is told why, and hangs up.
        Err(_) => return Ok(()),
    };
    one(&shared, "https", stream, work).await
}

async fn one(
    shared: &Shared,
    scheme: &str,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    work: Work,
) -> io::Result<()> {
    let Some(asked) = wire::read(&mut stream, scheme).await? else { return Ok(()) };
    match shared.script.turn(&asked) {
        Turn::Answer(file) => answer(shared, &file, stream, work).await,
        Turn::Refuse => send(shared, &mut stream, TOO_MANY).await,
        Turn::Play(pieces) => {
            for piece in pieces {
                send(shared, &mut stream, &piece).await?;
            }
            stream.shutdown().await
        }
        Turn::Record => {
            let Some(tape) = shared.script.tape() else { return Ok(()) };
            let answered = record::pass_on(tape, shared.script.scrub(), &asked, &mut stream).await;
            if let Err(message) = answered {
                shared.script.fail(Failure::new(format!(
                    "{} {} could not be recorded: {message}",
                    asked.method, asked.url
                )));
            }
            stream.shutdown().await
        }
        // The failure is noted; the guest meets a connection that breaks.
        Turn::Unknown => Ok(()),
    }
}

async fn answer(
    shared: &Shared,
    file: &HttpFile,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    work: Work,
) -> io::Result<()> {
    match file.fault {
        Some(HttpFault::TimeoutAfterAccept) => silence(shared, stream, work).await,
        Some(HttpFault::Reset) => Ok(()),
        Some(HttpFault::NoHttp) => {
            send(shared, &mut stream, b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await?;
            stream.shutdown().await
        }
        Some(HttpFault::PartialBody) => {
            write(shared, &mut stream, &Reply::half(file)).await?;
            stream.shutdown().await
        }
        Some(HttpFault::Stall) => {
            write(shared, &mut stream, &Reply::half(file)).await?;
            silence(shared, stream, work).await
        }
        fault => {
            if fault == Some(HttpFault::ClockJump) {
                shared.time.jump(file.jump.map_or(Duration::ZERO, |span| span.0));
            }
            if fault == Some(HttpFault::Revoked) {
                shared.script.revoke();
                return silence(shared, stream, work).await;
            }
            write(shared, &mut stream, &Reply::of(file)).await?;
            stream.shutdown().await
        }
    }
}

async fn write(shared: &Shared, stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    send(shared, stream, &reply.head).await?;
    for piece in &reply.pieces {
        send(shared, stream, piece).await?;
    }
    Ok(())
}

async fn send(shared: &Shared, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    shared.time.moved();
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Says nothing until the other side goes away; time goes on meanwhile.
async fn silence(shared: &Shared, mut stream: impl AsyncRead + Unpin, work: Work) -> io::Result<()> {
    drop(work);
    let mut rest = Vec::new();
    let gone = async { stream.read_to_end(&mut rest).await };
    let skipping = async {
        loop {
            shared.time.skip().await;
        }
    };
    tokio::select! {
        gone = gone => gone.map(drop),
        () = skipping => Ok(()),
    }
}

/// A stream whose first byte was looked at.
struct Rewound {
    first: Option<u8>,
    inner: DuplexStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(byte) = self.first.take()
        {
            buffer.put_slice(&[byte]);
            return std::task::Poll::Ready(Ok(()));
        }
        std::pin::Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
