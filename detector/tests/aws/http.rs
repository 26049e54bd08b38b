//! Just enough HTTP for emulators on the loopback interface: no TLS, no redirects, one request a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A request or an answer: its first line, its headers with lower-case names, its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// The path of a request.
    pub(crate) fn path(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a message; `None` when the other side closed before one began. An answer to a HEAD has no body.
pub(crate) fn read(stream: &mut BufReader<TcpStream>, is_answer_to_head: bool) -> io::Result<Option<Message>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut message = Message { first: line.trim_end().to_owned(), ..Message::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if message.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if is_answer_to_head || matches!(message.status(), 204 | 304) {
        return Ok(Some(message));
    }
    if message.header("transfer-encoding").is_some_and(|encoding| encoding.contains("chunked")) {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size)?;
            let n = usize::from_str_radix(size.trim().split(';').next().unwrap_or_default(), 16).unwrap_or(0);
            let mut chunk = vec![0; n + 2];
            stream.read_exact(&mut chunk)?;
            if n == 0 {
                break;
            }
            message.body.extend_from_slice(&chunk[..n]);
        }
        message.headers.retain(|(name, _)| name != "transfer-encoding");
    } else {
        let n = message.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        message.body = vec![0; n];
        stream.read_exact(&mut message.body)?;
    }
    Ok(Some(message))
}

/// Head and body as bytes; the length is said, and the connection ends.
pub(crate) fn bytes(message: &Message) -> Vec<u8> {
    let mut out = format!("{}\r\n", message.first).into_bytes();
    for (name, value) in message.headers.iter().filter(|(name, _)| name != "connection" && name != "content-length") {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    // The answer to a HEAD says the length of a body it does not have.
    let length = message.header("content-length").filter(|_| message.body.is_empty());
    let length = length.map_or_else(|| message.body.len().to_string(), str::to_owned);
    out.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    out.extend_from_slice(&message.body);
    out
}

/// Sends a request and waits for the answer.
pub(crate) fn call(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Message> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    let mut request = Message { first: format!("{method} {path} HTTP/1.1"), body: body.to_vec(), ..Message::default() };
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    request.headers.push(("host".to_owned(), to.to_string()));
    stream.write_all(&bytes(&request))?;
    read(&mut BufReader::new(stream), method == "HEAD")?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
