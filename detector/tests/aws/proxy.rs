//! A proxy that breaks things: between the function and the cloud, by a seeded plan.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::http::{self, Message};

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Answered with this status instead of asked.
    Refused(u16),
    /// Answered with this status and body instead of asked.
    Answered(u16, &'static str),
    /// Answered with a range of these bytes: the emulator copies a whole object for each range of it.
    Served(Arc<Vec<u8>>),
    /// Asked, and the answer's body breaks off in the middle.
    Cut,
    /// Asked, and the connection ends before the answer: what was to be done is done.
    Lost,
    /// The answer comes late and in pieces.
    Slow,
}

/// Chooses a fault for a request, given its number.
pub(crate) type Plan = dyn Fn(u64, &Message) -> Fault + Send + Sync;

/// Starts a proxy before an address; gives its own and the count of faults.
pub(crate) fn start(to: SocketAddr, plan: Arc<Plan>) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its number");
    let (asked, faults) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&faults);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (plan, asked, faults) = (Arc::clone(&plan), Arc::clone(&asked), Arc::clone(&counted));
            std::thread::spawn(move || pass(stream, to, &*plan, &asked, &faults));
        }
    });
    (address, faults)
}

fn pass(stream: TcpStream, to: SocketAddr, plan: &Plan, asked: &AtomicU64, faults: &AtomicU64) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let request = http::read(&mut BufReader::new(stream), false).ok()??;
    let fault = plan(asked.fetch_add(1, Ordering::Relaxed), &request);
    faults.fetch_add(u64::from(fault != Fault::None), Ordering::Relaxed);
    if let Fault::Refused(status) = fault {
        let code = if status == 503 { "SlowDown" } else { "InternalError" };
        let is_sns = request.path() == "/";
        let body = if is_sns {
            "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>".to_owned()
        } else {
            format!("<Error><Code>{code}</Code><Message>Please reduce your request rate.</Message></Error>")
        };
        let headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
        let answer = Message { first: format!("HTTP/1.1 {status} Refused"), headers, body: body.into_bytes() };
        return writer.write_all(&http::bytes(&answer)).ok();
    }
    if let Fault::Answered(status, body) = fault {
        let answer = Message { first: format!("HTTP/1.1 {status} Said"), body: body.into(), ..Message::default() };
        return writer.write_all(&http::bytes(&answer)).ok();
    }
    if let Fault::Served(object) = &fault {
        return writer.write_all(&http::bytes(&range_of(object, &request)?)).ok();
    }
    let mut upstream = TcpStream::connect(to).ok()?;
    upstream.write_all(&http::bytes(&request)).ok()?;
    let answer = http::read(&mut BufReader::new(upstream), request.method() == "HEAD").ok()??;
    if fault == Fault::Lost {
        return None;
    }
    let bytes = http::bytes(&answer);
    let head = bytes.len() - answer.body.len();
    match fault {
        Fault::Cut if answer.body.len() > 1 => writer.write_all(&bytes[..head + answer.body.len() / 2]).ok(),
        Fault::Slow => {
            std::thread::sleep(Duration::from_millis(150));
            for piece in bytes.chunks(bytes.len().div_ceil(5).max(1)) {
                writer.write_all(piece).ok()?;
                std::thread::sleep(Duration::from_millis(30));
            }
            Some(())
        }
        _ => writer.write_all(&bytes).ok(),
    }
}

/// What S3 answers to `Range: bytes=first-last`.
fn range_of(object: &[u8], request: &Message) -> Option<Message> {
    let (first, last) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?.min(object.len() - 1));
    let headers = [
        ("content-range", format!("bytes {first}-{last}/{}", object.len())),
        ("etag", "\"served\"".to_owned()),
        ("content-type", "binary/octet-stream".to_owned()),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some(Message {
        first: "HTTP/1.1 206 Partial Content".to_owned(),
        headers,
        body: object.get(first..=last)?.to_vec(),
    })
}
