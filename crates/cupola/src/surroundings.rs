//! What the environment says of tables on other machines: who asks, where servers are, and where copies are kept. Libraries read none of it.

use cupola_data::remote::{Access, grant};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Lets this process read `postgres://` and `s3://` as the tools of these would: by the variables of libpq and of the AWS command line, and by the
/// files that they keep at home.
pub fn grant_access() {
    let is_known = |name: &str| name == "USER" || name.starts_with("PG") || name.starts_with("AWS_");
    let mut variables: BTreeMap<String, String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_known(name))
        .collect();
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    add_profile(&mut variables, &home);
    let file = variables.get("PGPASSFILE").map_or_else(|| home.join(".pgpass"), PathBuf::from);
    let cache = env::var_os("CUPOLA_HOME").map_or_else(|| PathBuf::from("cache"), |home| PathBuf::from(home).join("cache"));
    grant(Access { variables, passwords: secret(&file), cache, now: SystemTime::now });
}

/// A file that nobody else may read; libpq, too, takes no other.
fn secret(path: &Path) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0) {
            return String::new();
        }
    }
    fs::read_to_string(path).unwrap_or_default()
}

/// What a profile of the AWS command line says, where no variable says it.
fn add_profile(variables: &mut BTreeMap<String, String>, home: &Path) {
    let profile = variables.get("AWS_PROFILE").cloned().unwrap_or_else(|| "default".to_owned());
    let file = |name: &str, usual: &str| variables.get(name).map_or_else(|| home.join(".aws").join(usual), PathBuf::from);
    let (credentials, config) = (file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config"));
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let of_config = if profile == "default" { profile.clone() } else { format!("profile {profile}") };
    let said = section(&read(credentials), &profile).into_iter().chain(section(&read(config), &of_config));
    let has_key = variables.contains_key("AWS_ACCESS_KEY_ID");
    for (key, value) in said {
        let name = match key.as_str() {
            "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" if !has_key => key.to_uppercase(),
            "region" if !variables.contains_key("AWS_DEFAULT_REGION") => "AWS_REGION".to_owned(),
            "endpoint_url" => "AWS_ENDPOINT_URL".to_owned(),
            _ => continue,
        };
        variables.entry(name).or_insert(value);
    }
}

/// Keys and values below `[NAME]`.
fn section(text: &str, name: &str) -> Vec<(String, String)> {
    let head = format!("[{name}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != head).skip(1).take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_what_no_variable_says() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let write = |name: &str, text: &str| fs::write(home.path().join(".aws").join(name), text).unwrap();
        write(
            "credentials",
            "[default]\naws_access_key_id = A\naws_secret_access_key=B\n[work]\naws_access_key_id = C\naws_secret_access_key = D=\n",
        );
        write("config", "[default]\nregion = eu-west-1\n[profile work]\nregion=eu-north-1\nendpoint_url = http://x\n");
        let added = |given: &[(&str, &str)]| {
            let mut variables: BTreeMap<String, String> =
                given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            add_profile(&mut variables, home.path());
            variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(added(&[]), "AWS_ACCESS_KEY_ID=A AWS_REGION=eu-west-1 AWS_SECRET_ACCESS_KEY=B");
        assert_eq!(
            added(&[("AWS_PROFILE", "work")]),
            "AWS_ACCESS_KEY_ID=C AWS_ENDPOINT_URL=http://x AWS_PROFILE=work AWS_REGION=eu-north-1 AWS_SECRET_ACCESS_KEY=D="
        );
        assert_eq!(added(&[("AWS_ACCESS_KEY_ID", "E"), ("AWS_REGION", "r")]), "AWS_ACCESS_KEY_ID=E AWS_REGION=r");
    }
}
