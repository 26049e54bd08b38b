//! Criterion benchmarks of each stage and of the whole replay, on bulk rows as the generator makes them.
//!
//! `cargo bench -p benches`. Names carry the shape; throughput is in rows. For figures beside other engines see
//! `benches compare`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use benches::{Large, ObjectFormat, write_large};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use detector::config::Config;
use detector::flow::FlowBatch;
use detector::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode, run};
use detector::read::{InMemory, Limits, Object, open};
use detector::rollup::{Interface, Known, Rollup};
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// Rows in one object: AWS's objects are smaller, but one must be large enough to be measured.
const ROWS: u64 = 400_000;

/// The columns that a replay reads.
const READ: [&str; 20] = [
    "interface_id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "pkt_srcaddr",
    "pkt_dstaddr",
    "tcp_flags",
    "flow_direction",
    "pkt_dst_aws_service",
    "log_status",
    "account_id",
    "region",
    "vpc_id",
];

/// One object of a format, with what describes its interfaces.
struct Case {
    bytes: Bytes,
    object: Arc<dyn Object>,
    knowledge: Knowledge,
}

impl Case {
    fn new(format: ObjectFormat) -> Self {
        let folder = tempfile::tempdir().expect("room for a case");
        write_large(&Large::new(ROWS, 1, format), folder.path()).expect("a case");
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("the case's file");
        let mut knowledge = Knowledge::default();
        knowledge.inventory.add_enis("enis.json", &read("enis.json")).expect("interfaces");
        knowledge.inventory.add_functions("functions.json", &read("functions.json")).expect("functions");
        let bytes = first_file(&folder.path().join("logs"));
        Self { bytes: bytes.clone().into(), object: Arc::new(InMemory::new("object", bytes)), knowledge }
    }

    fn read(&self, mut each: impl FnMut(FlowBatch) + Send) {
        let opened = open(Arc::clone(&self.object), &Limits::DEFAULT).expect("a flow log");
        opened.read_all(&mut |batch| each(batch)).expect("readable");
    }

    fn run(&self, mode: Mode) {
        let config = Config::defaults();
        let job = Job { config: &config, knowledge: &self.knowledge, mode, span: None, progress: &() };
        let scratch = Box::new(InMemoryScratch::default());
        black_box(run(&job, vec![Arc::clone(&self.object)], Memory::default(), scratch).expect("the scratch holds"));
    }
}

/// The pages of the columns that a replay reads, compressed as they were, each with its inflated size. Their headers
/// stay out: the pages are inflated and compressed again.
fn pages(parquet: &Bytes) -> Vec<(Vec<u8>, usize)> {
    let reader = SerializedFileReader::new(parquet.clone()).expect("Parquet");
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut pages = Vec::new();
    for group in (0..reader.num_row_groups()).map(|n| reader.get_row_group(n).expect("a row group")) {
        for column in (0..schema.num_columns()).filter(|&n| READ.contains(&schema.column(n).name())) {
            let mut column = group.get_column_page_reader(column).expect("pages");
            while let Some(page) = column.get_next_page().expect("a page") {
                let mut packed = vec![0; compressor.gzip_compress_bound(page.buffer().len())];
                let n = compressor.gzip_compress(page.buffer(), &mut packed).expect("room");
                packed.truncate(n);
                pages.push((packed, page.buffer().len()));
            }
        }
    }
    pages
}

/// Inflates pages one after the other and looks at each byte once: the least that reading them can take.
fn inflate(pages: &[(Vec<u8>, usize)], page: &mut Vec<u8>) -> u64 {
    let mut decompressor = Decompressor::new();
    let mut sum = 0;
    for (packed, n_bytes) in pages {
        page.resize(*n_bytes, 0);
        decompressor.gzip_decompress(packed, page).expect("what was packed");
        sum += page.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
    sum
}

/// The bytes of the one file below a folder.
fn first_file(path: &Path) -> Vec<u8> {
    if path.is_file() {
        return std::fs::read(path).expect("the object");
    }
    let entry = path.read_dir().expect("a folder").next().expect("an entry").expect("readable");
    first_file(&entry.path())
}

fn stages(criterion: &mut Criterion) {
    // One thread, so that no stage has help that another lacks.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().expect("the first pool");
    let (parquet, text) = (Case::new(ObjectFormat::Parquet), Case::new(ObjectFormat::Text));
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    let (pages, mut page) = (pages(&parquet.bytes), Vec::new());
    group.bench_function("inflate/parquet-gzip", |bench| bench.iter(|| inflate(&pages, &mut page)));
    group.bench_function("read/parquet-gzip", |bench| bench.iter(|| parquet.read(|batch| drop(black_box(batch)))));
    group.bench_function("read/text-gzip", |bench| bench.iter(|| text.read(|batch| drop(black_box(batch)))));
    let mut batches = Vec::new();
    parquet.read(|batch| batches.push(batch));
    let rolled = || {
        let mut rollup = Rollup::new(None);
        for batch in &batches {
            rollup.push(batch, &mut |id| Interface::Judged(Known::itself(id).into()));
        }
        rollup
    };
    group.bench_function("rollup/400-functions", |bench| bench.iter(rolled));
    group.bench_function("rollup-and-finish/400-functions", |bench| {
        bench.iter(|| rolled().finish().0.sorted());
    });
    group.bench_function("whole/learn", |bench| bench.iter(|| parquet.run(Mode::Learn)));
    group.bench_function("whole/replay", |bench| bench.iter(|| parquet.run(Mode::Replay)));
    group.bench_function("whole/replay-text", |bench| bench.iter(|| text.run(Mode::Replay)));
    group.finish();
}

criterion_group!(all, stages);
criterion_main!(all);
