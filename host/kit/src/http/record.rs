//! Passes a request on to the real server, and keeps what came back.

use std::time::Duration;

use berth_broker::{Bounds, Target};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::cassette::Tape;
use super::wire::Asked;
use crate::fake::secrets::Scrub;

/// The longest that a real server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer that is recorded.
const ANSWER_BYTES: usize = 32 << 20;

/// Sends `asked` as it came, by the broker and within the grants of the case, and answers the guest with what comes back,
/// byte for byte. Nothing is kept that holds a secret.
pub(super) async fn pass_on(
    tape: &Tape,
    scrub: &Scrub,
    asked: &Asked,
    guest: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), String> {
    let Some(upstream) = tape.upstream() else { return Err("nothing is recorded".to_owned()) };
    let target = Target::parse(&asked.url).map_err(|error| error.to_string())?;
    let bounds = Bounds::within(PATIENCE);
    let mut real = upstream
        .broker
        .connect_for(&asked.method, &target, &*upstream.policy, &bounds)
        .await
        .map_err(|error| error.to_string())?
        .stream;
    let passing = async {
        real.write_all(&asked.raw).await.map_err(|error| error.to_string())?;
        real.flush().await.map_err(|error| error.to_string())?;
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut total = 0;
        loop {
            let mut piece = Vec::with_capacity(16 << 10);
            let mut more = [0];
            let read = tokio::select! {
                read = real.read_buf(&mut piece) => read.map_err(|error| error.to_string())?,
                // The guest has all that it wants.
                _ = guest.read(&mut more) => 0,
            };
            if read == 0 {
                return Ok(pieces);
            }
            total += read;
            if total > ANSWER_BYTES {
                return Err(format!("the answer is longer than {ANSWER_BYTES} bytes"));
            }
            // A guest that goes away early has seen what it wants; the rest is recorded all the same.
            let _gone = guest.write_all(&piece).await;
            let _gone = guest.flush().await;
            pieces.push(piece);
        }
    };
    let pieces: Vec<Vec<u8>> = tokio::time::timeout(PATIENCE, passing)
        .await
        .map_err(|_| "the server did not answer in time".to_owned())??;
    let clean = scrub.request(asked);
    let mut all = format!("{} {}", clean.method, clean.url).into_bytes();
    clean
        .headers
        .iter()
        .for_each(|(name, value)| all.extend_from_slice(format!("\n{name}: {value}").as_bytes()));
    all.extend_from_slice(b"\n");
    all.extend_from_slice(&clean.body);
    if scrub.is_in(&all) {
        return Err("the request holds a secret in a form that cannot be taken out again".to_owned());
    }
    if scrub.is_in(&pieces.concat()) {
        return Err("the answer holds a secret".to_owned());
    }
    tape.keep(&clean, &pieces);
    Ok(())
}
