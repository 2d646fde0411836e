//! `--devices`: several devices of one process.

use super::CliError;
use super::members::Group;
use std::str::FromStr;
use tilewright::gpu::{GpuError, adapters};

/// Devices by number or name, or all of the first one's kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DeviceList {
    All,
    Named(Vec<String>),
}

impl FromStr for DeviceList {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceList, String> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().any(String::is_empty) {
            true => Err("write it like `0,1`, or `all`".to_owned()),
            false if text == "all" => Ok(DeviceList::All),
            false => Ok(DeviceList::Named(names)),
        }
    }
}

impl DeviceList {
    /// What each is opened by.
    pub(super) fn names(&self) -> Result<Vec<String>, CliError> {
        let DeviceList::Named(names) = self else {
            let adapters = adapters();
            let kind = adapters.first().ok_or(GpuError::NoAdapter)?.info.kind;
            let alike = adapters.iter().enumerate().filter(|(_, adapter)| adapter.info.kind == kind);
            return Ok(alike.map(|(index, _)| index.to_string()).collect());
        };
        Ok(names.clone())
    }
}

/// The devices of this process: all of a list, or of several processes on a machine one for each; without a list the one
/// named `device`, and of several processes one of all.
pub(super) fn own_devices(
    list: Option<&DeviceList>,
    group: Option<&Group>,
    device: &str,
) -> Result<Vec<String>, CliError> {
    let asked = match list {
        Some(list) => list.names()?,
        None if group.is_some() && device == "auto" => DeviceList::All.names()?,
        None => vec![device.to_owned()],
    };
    Ok(match group {
        Some(group) => vec![asked[group.local_rank % asked.len()].clone()],
        None => asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_numbers_or_names_between_commas() {
        let named = |names: &[&str]| Ok(DeviceList::Named(names.iter().map(|&name| name.to_owned()).collect()));
        assert_eq!("0,0".parse(), named(&["0", "0"]));
        assert_eq!("radeon, 1".parse(), named(&["radeon", "1"]));
        assert_eq!("all".parse(), Ok(DeviceList::All));
        assert!("0,".parse::<DeviceList>().is_err() && "".parse::<DeviceList>().is_err());
    }
}
