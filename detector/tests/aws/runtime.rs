//! The runtime: Lambda's own interface for custom runtimes, as far as one function needs it, and the function itself.
//!
//! An invocation is given to whatever `bootstrap` asks next; when that process dies, it is started again, as Lambda
//! does.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::cloud::{Cloud, Process, STATE};
use crate::http::{self, Message};

/// What an invocation came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// What the function gave back.
    Given(Value),
    /// The error it gave back.
    Failed(Value),
    /// The process ended before it answered.
    Died,
}

impl Answer {
    /// What was given back; a failure fails the test.
    pub(crate) fn given(self) -> Value {
        match self {
            Self::Given(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// The message of a failure.
    pub(crate) fn error(self) -> String {
        match self {
            Self::Failed(value) => value["errorMessage"].as_str().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

/// A request that waits for its answer.
struct Waiting(TcpStream);

/// A function: the interface it asks, and its process.
pub(crate) struct Function {
    address: SocketAddr,
    asked: Receiver<Waiting>,
    answered: Receiver<Answer>,
    env: Vec<(String, String)>,
    process: Option<Process>,
    n_invocations: u32,
    /// How long an invocation may take.
    pub(crate) timeout: Duration,
    log: Arc<Mutex<String>>,
}

impl Function {
    /// A function of a role in a cloud; its process starts with the first invocation.
    pub(crate) fn new(cloud: &Cloud, role: &str, more: &[(&str, &str)]) -> Self {
        Self::behind(cloud, cloud.address, role, more)
    }

    /// The same, seeing the cloud through another address.
    pub(crate) fn behind(cloud: &Cloud, endpoint: SocketAddr, role: &str, more: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let ((asks, asked), (answers, answered)) = (channel(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asks, answers) = (asks.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, &asks, &answers));
            }
        });
        let env = [
            ("CALLOUT_ROLE", role),
            ("CALLOUT_STATE_BUCKET", STATE),
            ("CALLOUT_TOPIC_ARN", &cloud.topic),
            ("CALLOUT_ALERT_FORMAT", "json"),
            ("CALLOUT_LEARN_GRACE", "0s"),
            ("AWS_ENDPOINT_URL", &format!("http://{endpoint}")),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_LAMBDA_RUNTIME_API", &address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", &format!("callout-{role}")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ];
        let env = env.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let timeout = Duration::from_mins(2);
        Self { address, asked, answered, env, process: None, n_invocations: 0, timeout, log: Arc::default() }
    }

    /// Starts the process; says how long it took until it asked for work.
    pub(crate) fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.spawn();
        let waiting = self.asked.recv_timeout(Duration::from_secs(30)).expect("the function asks for work");
        let took = began.elapsed();
        self.stop();
        drop(waiting);
        took
    }

    fn spawn(&mut self) {
        // Another build of it, to test what is deployed or to measure it.
        let program = std::env::var("CALLOUT_TEST_BOOTSTRAP");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_bootstrap").to_owned());
        let mut command = Command::new(program);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the function");
        let out = child.stdout.take().expect("its output");
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            use std::io::BufRead as _;
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if std::env::var_os("CALLOUT_TEST_LOG").is_some() {
                    eprintln!("{line}");
                }
                log.lock().expect("the log").push_str(&(line + "\n"));
            }
        });
        self.process = Some(Process(child));
    }

    /// Starts the process for another interface, named in its environment.
    pub(crate) fn released(mut self) -> Process {
        self.spawn();
        self.process.take().expect("just started")
    }

    /// Everything the function printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// The process, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    /// Ends the process.
    pub(crate) fn stop(&mut self) {
        self.process = None;
        while self.asked.try_recv().is_ok() {}
        while self.answered.try_recv().is_ok() {}
    }

    /// Invokes the function and waits for its answer.
    pub(crate) fn invoke(&mut self, event: &Value) -> Answer {
        self.invoke_and_kill(event, None)
    }

    /// Invokes the function; when a time is given, its process is killed after it, if there was no answer before.
    pub(crate) fn invoke_and_kill(&mut self, event: &Value, kill_after: Option<Duration>) -> Answer {
        if self.process.is_none() {
            self.spawn();
        }
        let Ok(Waiting(mut stream)) = self.asked.recv_timeout(Duration::from_secs(30)) else {
            self.stop();
            return Answer::Died;
        };
        self.n_invocations += 1;
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + self.timeout;
        let id = format!("{}-{}-{}", std::process::id(), self.address.port(), self.n_invocations);
        let headers = [
            ("lambda-runtime-aws-request-id", id.as_str()),
            ("lambda-runtime-deadline-ms", &deadline.as_millis().to_string()),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:callout"),
            ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"),
            ("content-type", "application/json"),
        ];
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = Message { first: "HTTP/1.1 200 OK".to_owned(), headers, body: event.to_string().into_bytes() };
        stream.write_all(&http::bytes(&answer)).expect("the function listens");
        drop(stream);
        let wait = kill_after.unwrap_or(self.timeout + Duration::from_secs(5));
        match self.answered.recv_timeout(wait) {
            Ok(answer) => {
                self.await_metrics(&id);
                answer
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.stop();
                Answer::Died
            }
        }
    }
}

impl Function {
    /// Waits for the line an invocation prints last, before its answer: the log comes by another way and may be later.
    fn await_metrics(&self, id: &str) {
        let line = format!("\"RequestId\":\"{id}\"");
        let began = Instant::now();
        while !self.log.lock().expect("the log").contains(&line) {
            assert!(began.elapsed() < Duration::from_secs(30), "no metrics of {id} in {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// One connection of the interface.
fn serve(stream: TcpStream, asks: &Sender<Waiting>, answers: &Sender<Answer>) {
    let Ok(writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    let Ok(Some(request)) = http::read(&mut reader, false) else { return };
    if request.method() == "GET" {
        let _gone = asks.send(Waiting(writer));
        return;
    }
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let is_error = request.path().ends_with("/error");
    let accepted = Message { first: "HTTP/1.1 202 Accepted".to_owned(), body: b"{}".to_vec(), ..Message::default() };
    let mut writer = writer;
    let _gone = writer.write_all(&http::bytes(&accepted));
    drop(writer);
    drop(reader);
    let _gone = answers.send(if is_error { Answer::Failed(body) } else { Answer::Given(body) });
}
