//! The same binary under cargo-lambda's runtime, which others use to try functions.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS, Process, free_port, venv};
use crate::http;
use crate::runtime::Function;
use crate::sample::{batch, explain, notification, objects};

/// Starts cargo-lambda's runtime; `None` when its port was taken before it got there.
fn watch() -> Option<(Process, SocketAddr)> {
    let port = free_port();
    let program = venv().join("bin/cargo-lambda");
    let runtime = Command::new(&program)
        .args(["lambda", "watch", "--only-lambda-apis", "--invoke-port", &port.to_string()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` sets it up", program.display()));
    let mut runtime = Process(runtime);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let began = Instant::now();
    loop {
        if runtime.0.try_wait().expect("its state").is_some() {
            return None;
        }
        if TcpStream::connect(address).is_ok() {
            return Some((runtime, address));
        }
        assert!(began.elapsed() < Duration::from_mins(5), "cargo-lambda does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn cargo_lambda_runs_it_too() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (_runtime, address) = (0..5).find_map(|_| watch()).expect("cargo-lambda listens");
    // `_` is the function that cargo-lambda does not start itself.
    let api = format!("http://{address}/.rt");
    let _function =
        Function::new(&cloud, "detect", &[("AWS_LAMBDA_RUNTIME_API", &api), ("AWS_LAMBDA_FUNCTION_NAME", "_")])
            .released();
    let invoke = |event: &Value| -> Value {
        let path = "/2015-03-31/functions/_/invocations";
        let answer = http::call(address, "POST", path, &[], event.to_string().as_bytes()).expect("an answer");
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()))
    };
    let (key, bytes) = &objects()[0];
    cloud.put(LOGS, key, bytes.clone());
    let answer = invoke(&batch([&json!("poison"), &notification(key, bytes.len())]));
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m0"}]}));
    assert!(invoke(&json!({}))["errorMessage"].as_str().is_some_and(|error| error.contains("unknown event form")));
}
