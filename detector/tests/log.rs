//! A function's flow log, written line by line in the words of [`Log`], for tests that replay it. Days count from 0; a
//! function is judged after a week.

use std::fmt::Write as _;
use std::sync::Arc;

use baselines::Baselines;
use detector::config::Config;
use detector::finding::Finding;
use detector::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode, Outcome, observe, run, walk_observations};
use detector::read::{InMemory, Object};

/// 2026-03-02T00:00:00Z, a Monday.
const START: i64 = 1_772_409_600;

pub(crate) const ENIS: &str = r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","InterfaceType":"lambda","SubnetId":"subnet-1",
    "Groups":[{"GroupId":"sg-1"}],"PrivateIpAddress":"10.0.0.5","PrivateIpAddresses":[{"PrivateIpAddress":"10.0.0.5"}]}]}"#;
pub(crate) const FUNCTIONS: &str = r#"{"Functions":[{"FunctionName":"api","FunctionArn":"arn:aws:lambda:eu-west-1:111122223333:function:api",
    "Version":"$LATEST","CodeSha256":"x","LastModified":"2026-01-01T00:00:00.000+0000",
    "VpcConfig":{"SubnetIds":["subnet-1"],"SecurityGroupIds":["sg-1"],"VpcId":"vpc-1"}}]}"#;

/// The provider every function here has, another of its hosts, a database, and somebody nobody knows.
pub(crate) const PROVIDER: &str = "198.51.100.7";
pub(crate) const DATABASE: &str = "10.0.3.4";
pub(crate) const STRANGER: &str = "203.0.113.77";

/// A moment: day, hour, minute.
pub(crate) fn at(day: i64, hour: i64, minute: i64) -> i64 {
    START + (day * 24 + hour) * 3600 + minute * 60
}

/// One function's flow log.
pub(crate) struct Log {
    pub(crate) text: String,
    local_port: u16,
}

impl Log {
    pub(crate) fn empty() -> Self {
        let header = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status \
                      tcp-flags flow-direction";
        Self { text: format!("{header}\n"), local_port: 20_000 }
    }

    /// A function that calls its provider and its database every ten minutes, for twelve days.
    pub(crate) fn steady() -> Self {
        let mut log = Self::empty();
        for n in 0..12 * 144 {
            let jitter = n * 37 % 300;
            log.call(at(0, 0, n * 10) + jitter, PROVIDER, 443, 900, 5000);
            log.call(at(0, 0, n * 10) + jitter + 2, DATABASE, 5432, 400, 3000);
        }
        log
    }

    /// A steady function that also sends to a customer nobody knew before, six times a day.
    pub(crate) fn webhooks() -> Self {
        let mut log = Self::steady();
        for n in 0..72 {
            log.call(at(0, 4 * n, 17), &format!("{}.20.30.40", 60 + n), 443, 1500, 4500);
        }
        log
    }

    pub(crate) fn record(
        &mut self,
        hosts: [&str; 2],
        ports: [u16; 2],
        (bytes, start, protocol): (u64, i64, u8),
        end: &str,
    ) {
        self.lasting_record(hosts, ports, (bytes, start, start + 20, protocol), end);
    }

    pub(crate) fn lasting_record(&mut self, hosts: [&str; 2], ports: [u16; 2], sent: (u64, i64, i64, u8), end: &str) {
        let ([src, dst], [from, to], (bytes, start, until, protocol)) = (hosts, ports, sent);
        let packets = bytes / 1000 + 1;
        let _infallible =
            writeln!(self.text, "eni-1 {src} {dst} {from} {to} {protocol} {packets} {bytes} {start} {until} {end}");
    }

    /// A connection of one exchange.
    pub(crate) fn call(&mut self, start: i64, to: &str, port: u16, out_bytes: u64, in_bytes: u64) {
        self.local_port = self.local_port % 40_000 + 20_003;
        self.call_from(self.local_port, start, to, port, out_bytes, in_bytes);
    }

    /// A connection in use for most of ten minutes, where flow logs aggregate over as many.
    pub(crate) fn use_of_ten_minutes(&mut self, start: i64, to: &str) {
        self.local_port = self.local_port % 40_000 + 20_003;
        self.lasting_record(
            ["10.0.0.5", to],
            [self.local_port, 443],
            (900, start, start + 570, 6),
            "ACCEPT OK 2 egress",
        );
        self.lasting_record(
            [to, "10.0.0.5"],
            [443, self.local_port],
            (5000, start, start + 570, 6),
            "ACCEPT OK 18 ingress",
        );
    }

    /// More of a connection that holds a local port.
    pub(crate) fn call_from(
        &mut self,
        local_port: u16,
        start: i64,
        to: &str,
        port: u16,
        out_bytes: u64,
        in_bytes: u64,
    ) {
        let protocol = if port == 53 { 17 } else { 6 };
        self.record(["10.0.0.5", to], [local_port, port], (out_bytes, start, protocol), "ACCEPT OK 2 egress");
        if in_bytes > 0 {
            self.record([to, "10.0.0.5"], [port, local_port], (in_bytes, start, protocol), "ACCEPT OK 18 ingress");
        }
    }

    /// An attempt that a security group refuses.
    pub(crate) fn refused(&mut self, start: i64, to: &str, port: u16) {
        self.record(["10.0.0.5", to], [self.local_port, port], (60, start, 6), "REJECT OK 2 egress");
    }

    /// A connection that somebody else opens.
    pub(crate) fn called_by(&mut self, start: i64, from: &str, port: u16) {
        self.record([from, "10.0.0.5"], [50_000, port], (60, start, 6), "ACCEPT OK 2 ingress");
        self.record(["10.0.0.5", from], [port, 50_000], (40, start, 6), "ACCEPT OK 18 egress");
    }

    /// What begins before a moment, and the rest.
    pub(crate) fn cut(&self, at: i64) -> [Self; 2] {
        let mut parts = [Self::empty(), Self::empty()];
        for line in self.text.lines().skip(1) {
            let start: i64 = line.split(' ').nth(8).and_then(|start| start.parse().ok()).expect("a time");
            let [before, after] = &mut parts;
            let part = if start < at { before } else { after };
            part.text += line;
            part.text += "\n";
        }
        parts
    }

    pub(crate) fn replay(&self) -> Vec<Finding> {
        self.replay_from(Baselines::default(), &Config::defaults(), &with_list()).findings
    }

    /// Walks the log on top of what is known and told, as the learner in AWS does.
    pub(crate) fn walk(&self, memory: &mut Memory, knowledge: &Knowledge) -> Vec<Finding> {
        let config = Config::defaults();
        let job = Job { config: &config, knowledge, mode: Mode::Replay, span: None, progress: &() };
        let object: Arc<dyn Object> = Arc::new(InMemory::new("case.log", self.text.clone().into_bytes()));
        let observed = observe(&job, &object).expect("a flow log");
        let scratch = Box::new(InMemoryScratch::default());
        let start = std::mem::take(memory);
        let walked =
            walk_observations(&job, [("", &observed.observations)], start, scratch).expect("the scratch holds");
        *memory = walked.memory;
        walked.findings
    }

    /// Replays the log on top of what is known.
    pub(crate) fn replay_from(&self, known: impl Into<Memory>, config: &Config, knowledge: &Knowledge) -> Outcome {
        let job = Job { config, knowledge, mode: Mode::Replay, span: None, progress: &() };
        let object: Arc<dyn Object> = Arc::new(InMemory::new("case.log", self.text.clone().into_bytes()));
        let scratch = Box::new(InMemoryScratch::default());
        let outcome = run(&job, vec![object], known.into(), scratch).expect("the scratch holds");
        assert_eq!((outcome.coverage.n_objects, outcome.coverage.n_rejected()), (1, 0), "the case itself is in order");
        outcome
    }
}

/// The function's interface, and the function as `list-functions` prints it.
pub(crate) fn knowledge(functions: &str) -> Knowledge {
    let mut knowledge = Knowledge::default();
    knowledge.inventory.add_enis("enis.json", ENIS.as_bytes()).expect("interfaces");
    knowledge.inventory.add_functions("functions.json", functions.as_bytes()).expect("functions");
    knowledge
}

/// That, and a list with one address.
pub(crate) fn with_list() -> Knowledge {
    let mut knowledge = knowledge(FUNCTIONS);
    knowledge.threat_lists.add("own", "own.txt", b"192.0.2.66\n").expect("a list");
    knowledge
}
