//! `bootstrap`: the engine behind AWS Lambda. One binary; `CALLOUT_ROLE` says which of three functions it is.
//!
//! Where it sits: the second door. It reads objects from S3, keeps state in S3, and tells SNS; what is odd is the
//! engine's to say. Nothing else of the project knows AWS.

mod account;
mod alerts;
mod detect;
mod door;
mod events;
mod inventory;
mod knowledge;
mod learn;
mod memory;
mod object;
mod settings;
mod state;
mod walk;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::Mutex;

use account::Account;
use door::{Door, Invocation, chain};
use settings::{Role, Settings};

/// Tries of a request, throttled or broken, with the SDK's back-off between them. Six bridge some twenty seconds.
const TRIES: u32 = 6;

/// How long an answer may take to begin, counted from the request's first byte. The SDK waits for ever unless told, and
/// one request that is never answered would take the whole invocation. Most of it is for the largest table of a
/// baseline, which is sent in one request.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

/// An error as Lambda shows it: a stable word, and the whole chain.
#[derive(Debug)]
struct Failed(anyhow::Error);

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: "Callout.Failed".to_owned(), error_message: chain(&failed.0) }
    }
}

fn main() -> ExitCode {
    watch::start();
    // One thread waits for the network; the engine has its own pool.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime.context("starting the runtime failed").and_then(|runtime| runtime.block_on(serve()));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let role = settings.role;
    knowledge::inline_config(&settings.config)?;
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        .timeout_config(TimeoutConfig::builder().read_timeout(ANSWER).build())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .load()
        .await;
    let server = Server {
        role,
        function: settings.function.clone(),
        door: Mutex::new(Door::new(settings, &config)),
        account: Account::new(&config),
    };
    let ran = lambda_runtime::run(service_fn(|event| server.invoke(event))).await;
    ran.map_err(|error| anyhow::anyhow!("the runtime stopped: {error}"))
}

/// One function, as long as it is warm.
struct Server {
    role: Role,
    function: String,
    /// Never contended: Lambda sends one invocation at a time.
    door: Mutex<Door>,
    account: Account,
}

impl Server {
    /// Answers an invocation. The runtime's own span around it carries the request's id and the trace's.
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Failed> {
        let mut door = self.door.lock().await;
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let mut invocation = Invocation::new(&event.context.request_id, deadline);
        let answer = match self.role {
            Role::Detect => detect::run(&mut door, &mut invocation, &event.payload).await,
            Role::Learn => learn::run(&mut door, &mut invocation).await,
            Role::Inventory => inventory::run(&door, &mut invocation, &self.account).await,
        };
        invocation.metrics.count("Errors", u64::from(answer.is_err()));
        invocation.metrics.print(&self.function, self.role.as_str(), &invocation.request);
        answer.map_err(|error| {
            tracing::error!(error = chain(&error), "the invocation failed");
            Failed(error)
        })
    }
}
