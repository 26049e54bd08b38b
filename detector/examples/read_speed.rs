//! How fast objects are read, on one thread: `cargo run --release --example read_speed -- read|walk FILE...`.
//!
//! `walk` only inflates the pages that `read` needs, which is the floor that reading is measured against.
#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a program to measure with, over files made for it")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use detector::read::{InMemory, Limits, open};

const COLUMNS: [&str; 20] = [
    "account_id",
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
    "log_status",
    "vpc_id",
    "tcp_flags",
    "pkt_srcaddr",
    "pkt_dstaddr",
    "region",
    "flow_direction",
    "pkt_dst_aws_service",
];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (what, files) = args.split_first().context("what to do?")?;
    let files: Vec<(String, bytes::Bytes)> =
        files.iter().map(|file| Ok((file.clone(), std::fs::read(file)?.into()))).collect::<anyhow::Result<_>>()?;
    let batch: usize =
        std::env::var("BATCH").ok().and_then(|n| n.parse().ok()).unwrap_or(Limits::DEFAULT.max_batch_rows);
    let limits = Limits { max_batch_rows: batch, ..Limits::DEFAULT };
    let (mut best, mut last) = (f64::MAX, (0, 0));
    for _ in 0..9 {
        let start = Instant::now();
        let (mut n_rows, mut check) = (0, 0_u64);
        for (name, bytes) in &files {
            match what.as_str() {
                "read" => {
                    let opened = open(Arc::new(InMemory::new(name.clone(), bytes.clone())), &limits)?;
                    opened.read_all(&mut |batch| {
                        n_rows += batch.n_rows();
                        check = check.wrapping_add(batch.bytes().first().copied().unwrap_or(0));
                    })?;
                }
                "gunzip" => {
                    let mut reader = flate2::bufread::MultiGzDecoder::new(&bytes[..]);
                    let mut buffer = vec![0; 256 << 10];
                    loop {
                        let n = std::io::Read::read(&mut reader, &mut buffer)?;
                        if n == 0 {
                            break;
                        }
                        n_rows += memchr::memchr_iter(b'\n', &buffer[..n]).count();
                    }
                }
                "gunzip-ld" => {
                    let n = u32::from_le_bytes(*bytes.last_chunk::<4>().context("short")?) as usize;
                    let mut out = vec![0; n];
                    libdeflater::Decompressor::new().gzip_decompress(bytes, &mut out)?;
                    n_rows += memchr::memchr_iter(b'\n', &out).count();
                }
                _ => {
                    use parquet::file::reader::{FileReader, SerializedFileReader};
                    let reader = SerializedFileReader::new(bytes.clone())?;
                    let mut inflated = vec![0; 32 << 20];
                    let mut decompressor = libdeflater::Decompressor::new();
                    for group in reader.metadata().row_groups() {
                        n_rows += group.num_rows() as usize;
                        for column in group.columns() {
                            if !COLUMNS.contains(&column.column_path().string().as_str()) {
                                continue;
                            }
                            let (from, len) = column.byte_range();
                            let mut left = &bytes[from as usize..(from + len) as usize];
                            // Pages are gzip members: each starts with the magic, after its header.
                            while let Some(at) = memchr::memmem::find(left, &[0x1f, 0x8b, 8]) {
                                let body = &left[at..];
                                let n = decompressor.gzip_decompress(body, &mut inflated)?;
                                check =
                                    check.wrapping_add(inflated[..n].iter().step_by(64).map(|b| u64::from(*b)).sum());
                                let next = memchr::memmem::find(&body[18..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
                                left = match next {
                                    Some(at) => &body[18 + at..],
                                    None => &[],
                                };
                            }
                        }
                    }
                }
            }
        }
        let secs = start.elapsed().as_secs_f64();
        best = best.min(secs);
        last = (n_rows, check);
    }
    let (n_rows, check) = last;
    println!(
        "{what}: {n_rows} rows, best of 9: {:.1} M rows/s, {:.1} ns/row ({check})",
        n_rows as f64 / best / 1e6,
        best * 1e9 / n_rows as f64
    );
    Ok(())
}
