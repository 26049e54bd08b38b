//! Tests of the stage as a whole.

mod broken;
mod conformance;
mod making;
mod property;

use super::*;
use crate::flow::Field;

/// Reads everything, one row a line: the fields in the order of `Field::ALL`, absent ones left out.
fn rows_of(batches: &[FlowBatch]) -> Vec<String> {
    batches.iter().flat_map(|batch| (0..batch.n_rows()).map(|row| show(batch, row))).collect()
}

fn read_with(object: InMemory, limits: &Limits) -> Result<(Vec<FlowBatch>, Account), Error> {
    let mut batches = Vec::new();
    let account = open(Arc::new(object), limits)?.read_all(&mut |batch| batches.push(batch))?;
    let n_rows: usize = batches.iter().map(FlowBatch::n_rows).sum();
    assert_eq!(account.rows_ok, n_rows as u64);
    let counted = account.rows_ok + account.rows_nodata + account.rows_skipdata + account.n_rejected();
    assert_eq!(account.rows_read, counted, "every row is in exactly one counter");
    Ok((batches, account))
}

fn read(bytes: impl Into<Bytes>) -> Result<(Vec<String>, Account), Error> {
    let (batches, account) = read_with(InMemory::new("object", bytes), &Limits::DEFAULT)?;
    Ok((rows_of(&batches), account))
}

fn refused(bytes: impl Into<Bytes>) -> String {
    read(bytes).expect_err("it must be refused").to_string()
}

fn rejects(account: &Account) -> Vec<(&'static str, u64)> {
    account.rows_rejected.iter().map(|(reason, rejected)| (reason.name(), rejected.n_rows)).collect()
}

fn show(batch: &FlowBatch, row: usize) -> String {
    let address = |coded: crate::flow::Coded<'_>| {
        coded.address(row).map_or("-".to_owned(), |octets| {
            let v6 = std::net::Ipv6Addr::from(octets);
            v6.to_ipv4_mapped().map_or(v6.to_string(), |v4| v4.to_string())
        })
    };
    let text = |coded: crate::flow::Coded<'_>| coded.text(row).unwrap_or("-").to_owned();
    let values = Field::ALL.map(|field| match field {
        Field::Interface => Some(text(batch.interface())),
        Field::Src => Some(address(batch.src())),
        Field::Dst => Some(address(batch.dst())),
        Field::SrcPort => Some(batch.src_port()[row].to_string()),
        Field::DstPort => Some(batch.dst_port()[row].to_string()),
        Field::Protocol => Some(batch.protocol()[row].to_string()),
        Field::Packets => Some(batch.packets()[row].to_string()),
        Field::Bytes => Some(batch.bytes()[row].to_string()),
        Field::Start => Some(batch.start()[row].to_string()),
        Field::End => Some(batch.end()[row].to_string()),
        Field::Action => Some(["ACCEPT", "REJECT"][usize::from(batch.action()[row])].to_owned()),
        Field::PktSrc => batch.pkt_src().map(address),
        Field::PktDst => batch.pkt_dst().map(address),
        Field::TcpFlags => batch.tcp_flags().map(|flags| flags[row].to_string()),
        Field::Direction => {
            batch.direction().map(|direction| ["-", "ingress", "egress"][usize::from(direction[row])].to_owned())
        }
        Field::AwsService => batch.aws_service().map(text),
        Field::Account => batch.account().map(text),
        Field::Region => batch.region().map(text),
        Field::Vpc => batch.vpc().map(text),
    });
    values.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
