//! `basereward data curate` that is killed, finds cut files, another recipe or a strange folder, and reads damaged data.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/curated.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod curated;
#[path = "support/sets.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod sets;
mod support;
#[path = "../../curate/tests/planted/world.rs"]
#[allow(dead_code, reason = "the tests of curation use more of it")]
mod world;

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Instant;

use curated::{assert_same, counts, dropped, manifest, shard_rows, tree};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use support::Workplace;

const CURATE: [&str; 5] = ["data", "curate", "curate.toml", "-o", "set"];

/// The planted sets, and a finished folder of them.
fn workplace() -> Workplace {
    let place = Workplace::new();
    sets::write_all(&place);
    place.succeed(&["data", "curate", "curate.toml", "-o", "whole"]);
    place
}

/// Runs to the point where everything has been read, and is stopped there by a file in the way.
fn begin(place: &Workplace) {
    fs::create_dir_all(place.path("set/.work")).unwrap();
    place.write("set/report", "in the way");
    let ended = place.run(&CURATE);
    assert!(ended.code == 2 && ended.err.contains("cannot write `set/report`"), "{}", ended.err);
    fs::remove_file(place.path("set/report")).unwrap();
}

#[test]
fn a_killed_curation_goes_on_to_the_same_bytes() {
    const MOMENTS: u32 = 9;
    let place = workplace();
    let start = Instant::now();
    place.succeed(&CURATE);
    let whole = start.elapsed();
    let mut killed = 0;
    for moment in 1..=MOMENTS {
        fs::remove_dir_all(place.path("set")).unwrap();
        // Twice, so that what goes on is killed, too.
        for part in [1, 2] {
            let mut command = place.command(&CURATE);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(whole * moment / (part * (MOMENTS + 1)));
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        let is_finished = place.path("set/manifest.json").exists();
        let ended = place.run(&CURATE);
        assert_eq!(ended.code, if is_finished { 2 } else { 0 }, "{}", ended.err);
        assert_same(&place.path("set"), &place.path("whole"));
    }
    assert!(killed >= MOMENTS, "only {killed} runs were killed before their end");
}

#[test]
fn files_of_the_work_folder_that_were_cut_are_made_again() {
    let place = workplace();
    begin(&place);
    let work = tree(&place.path("set/.work"));
    let cut: Vec<&String> = work.keys().filter(|name| *name != "plan.json").collect();
    let pictures = cut.iter().filter(|name| name.starts_with("images/")).count();
    assert!(pictures > 10 && cut.len() > pictures + 6, "{cut:?}");
    for name in cut {
        let file = File::options().write(true).open(place.path("set/.work").join(name)).unwrap();
        file.set_len(work[name].len() as u64 / 2).unwrap();
    }
    place.succeed(&CURATE);
    assert_same(&place.path("set"), &place.path("whole"));
}

#[test]
fn an_interrupted_end_is_cleaned_up() {
    let place = workplace();
    begin(&place);
    fs::copy(place.path("whole/manifest.json"), place.path("set/manifest.json")).unwrap();
    let sentence = place.refused(&CURATE);
    assert!(sentence.contains("`set` holds a finished set"), "{sentence}");
    assert!(!place.path("set/.work").exists());
}

#[test]
fn begun_work_is_refused_to_another_recipe_and_other_files_with_the_difference() {
    let place = workplace();
    begin(&place);
    let refusal = |arguments: &[&str]| {
        let ended = place.run(&[&CURATE, arguments].concat());
        assert_eq!(ended.code, 2, "{}", ended.err);
        assert!(ended.err.contains("begin again with --overwrite"), "{}", ended.err);
        ended.err
    };
    let recipe = refusal(&["--set", "duplicates.near=0.8", "--set", "seed=9"]);
    assert!(recipe.contains("another `duplicates.near`, `seed`;"), "{recipe}");
    place.write("curate.toml", sets::RECIPE.replace("max_per_prompt = 2", "max_per_prompt = 1"));
    let recipe = refusal(&[]);
    assert!(recipe.contains("another `source.2.max_per_prompt`;"), "{recipe}");
    place.write("curate.toml", sets::RECIPE);
    for file in ["ranked.jsonl", "seen/pairs.jsonl"] {
        let before = place.read(file);
        place.write(file, before.replacen("answers", "answers ", 1).replacen("asked", "Asked", 1));
        let name = if file == "ranked.jsonl" { file } else { "preferences" };
        let content = refusal(&[]);
        assert!(content.contains(&format!("another content of `{name}`")), "{content}");
        place.write(file, before);
    }
    // With the old recipe and files it goes on, and with another one it begins again.
    place.succeed(&CURATE);
    assert_same(&place.path("set"), &place.path("whole"));
    let finished = place.refused(&CURATE);
    assert!(finished.contains("holds a finished set"), "{finished}");
    place.succeed(&[&CURATE[..], &["--overwrite", "--set", "seed=9"]].concat());
    assert_eq!(manifest(&place, "set")["recipe"]["seed"], 9);
    place.succeed(&[&CURATE[..], &["--overwrite"]].concat());
    assert_same(&place.path("set"), &place.path("whole"));
}

#[test]
fn a_folder_with_other_files_is_refused_and_untouched() {
    let place = workplace();
    for folder in ["set/images", "set/train"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    place.write("set/images/mine.png", "a picture");
    place.write("set/train/mine.parquet", "rows");
    place.write("set/manifest.json", "{\"name\": \"mine\"}");
    let before = tree(&place.path("set"));
    for more in [&[][..], &["--overwrite"]] {
        let sentence = place.refused(&[&CURATE, more].concat());
        assert!(sentence.contains("`set` is not empty and holds no curated set"), "{sentence}");
        assert_eq!(tree(&place.path("set")), before);
    }
}

#[test]
fn a_cut_table_is_named() {
    let place = workplace();
    let path = place.path("bytes/rlaif-v.parquet");
    let length = fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let ended = place.run(&CURATE);
    assert_eq!(ended.code, 2, "{}", ended.err);
    for part in ["source `bytes`", "`bytes/rlaif-v.parquet` cannot be read as Parquet"] {
        assert!(ended.err.contains(part), "{}", ended.err);
    }
}

#[test]
fn a_damaged_page_costs_its_own_rows_only() {
    let place = Workplace::new();
    fs::create_dir(place.path("bytes")).unwrap();
    let path = place.path("bytes/rlaif-v.parquet");
    sets::rlaif_v(&path, &sets::pictured(), &sets::small_pages());
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&File::open(&path).unwrap())
        .unwrap();
    let columns = metadata.row_group(0).columns();
    let chosen = columns.iter().position(|one| one.column_path().string() == "chosen").unwrap();
    let index = metadata.page_index_for_row_group(0);
    let pages = index.offset_index(chosen).unwrap().page_locations();
    assert_eq!(pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>(), [0, 4, 8]);
    let mut bytes = fs::read(&path).unwrap();
    let start = usize::try_from(pages[1].offset).unwrap();
    bytes[start..start + 24].fill(0xff);
    fs::write(&path, bytes).unwrap();
    place.succeed(&["data", "convert", "--source", "rlaif-v", "bytes", "-o", "set"]);
    let lines = dropped(&place, "set");
    let places: Vec<&str> = lines.iter().map(|line| line["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["row 5", "row 6", "row 7", "row 8"], "{lines:?}");
    assert!(
        lines.iter().all(|line| line["stage"] == "read" && line["file"] == "bytes/rlaif-v.parquet")
    );
    let ids: Vec<String> = shard_rows(&place, "set").into_iter().map(|row| row.id).collect();
    let others: Vec<String> =
        (100..112).filter(|at| !(104..108).contains(at)).map(|at| format!("byte-{at}")).collect();
    assert_eq!(ids, others);
}

#[test]
fn a_missing_folder_of_pictures_costs_the_rows_with_pictures_only() {
    let place = workplace();
    fs::remove_dir_all(place.path("pairs/pictures")).unwrap();
    let ended = place.succeed(&CURATE);
    assert!(ended.out.contains("pictures"), "{}", ended.out);
    let counts = counts(&manifest(&place, "set"), "pairs");
    // Of the 24 clean rows, and of `same`, `near`, `lost` and `seen`.
    let reasons = counts["dropped"]["pictures"].as_object().unwrap();
    let lost: u64 = reasons.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((lost, &counts["kept"]), (28, &0.into()), "{counts}");
    let lines = dropped(&place, "set");
    let line = lines.iter().find(|line| line["id"] == "pair-07").unwrap();
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.contains("pairs/pictures/07.png"), "{detail}");
    assert_eq!((&line["place"], &line["file"]), (&"line 9".into(), &"pairs/pairs.jsonl".into()));
    // A folder that holds all of a source's pictures: nothing is left of it, and the reasons are where the sentence says.
    let convert = ["data", "convert", "--source", "preferences", "pairs/pictured.jsonl"];
    place.write("pairs/pictured.jsonl", place.read("pairs/pairs.jsonl").lines().next().unwrap());
    let ended = place.run(&[&convert[..], &["-o", "none"]].concat());
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(
        ended.err.contains(
            "no record is left of 1 rows; see the reasons in `none/report/dropped.jsonl`"
        )
    );
    assert_eq!(dropped(&place, "none")[0]["place"], "line 1");
}

#[test]
fn mistakes_in_a_recipe_name_their_key_and_what_may_stand_there() {
    let place = workplace();
    for (from, to, parts) in [
        ("'rlaif-v'", "'rlaif'", ["`source.1.format`", "there is no format `rlaif`; use one of:"]),
        ("chars(", "charz(", ["`filter.0.keep`", "charz"]),
        ("keep = ", "kepp = ", ["kepp", "`keep`"]),
        ("'vl-rewardbench'", "'vl-bench'", ["there is no benchmark `vl-bench`", "vl-rewardbench"]),
        ("'ranked.jsonl'", "'no.jsonl'", ["source `ranked`", "`no.jsonl` does not exist"]),
        ("near = 0.7", "near = 2", ["duplicates.near", "from 0.5 to 1"]),
    ] {
        place.write("curate.toml", sets::RECIPE.replace(from, to));
        let ended = place.run(&CURATE);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{to}");
        for part in parts {
            assert!(ended.err.contains(part), "{to}: `{part}` is not in {}", ended.err);
        }
        assert!(!place.path("set").exists(), "{to}");
    }
    let refused = place.refused(&["data", "convert", "--source", "rlaif", "bytes", "-o", "set"]);
    assert!(refused.contains("there is no set `rlaif`; `basereward data sources` lists them"));
}

#[test]
fn rows_of_wrong_types_name_file_row_and_key() {
    let place = workplace();
    let lines = dropped(&place, "whole");
    for (file, at, key) in [
        ("pairs/pairs.jsonl", "line 2", "column 10"),
        ("pairs/pairs.jsonl", "line 30", "`prompt`"),
        ("ratings.jsonl", "line 14", "`helpfulness`"),
        ("ratings.jsonl", "line 15", "`helpfulness`"),
    ] {
        let line = lines.iter().find(|line| line["file"] == file && line["place"] == at);
        let detail =
            line.unwrap_or_else(|| panic!("{file}, {at}: {lines:?}"))["detail"].to_string();
        assert!(detail.contains(key), "{file}, {at}: {detail}");
    }
}
