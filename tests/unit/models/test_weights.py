import dataclasses
import json
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch
from autoencoders import DC_AE, random_input, shrink, small_checkpoint
from safetensors.torch import load_file, save_file
from stored_tensors import rewrite

from dcae_export.errors import ConfigError, InputError, ResourceError, UsageError, WeightsError
from dcae_export.models import checkpoint_folder
from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.state import state_digest
from dcae_export.models.weights import (
    convert,
    load_autoencoder,
    load_checkpoint,
    random_checkpoint,
    save_checkpoint,
)

SANA = "dc-ae-f32c32-sana-1.0"
F32 = "dc-ae-f32c32-in-1.0"
F32_MIX = "dc-ae-f32c32-mix-1.0"
# The only preset with its graph.
LITE = "dc-ae-lite-f32c32-sana-1.1"


@pytest.fixture(autouse=True)
def small_presets(monkeypatch):
    """Every DC-AE at a sixteenth of its widths: a checkpoint is about a megabyte."""
    for name in DC_AE:
        small = dataclasses.replace(PRESETS[name], config=shrink(PRESETS[name].config))
        monkeypatch.setitem(PRESETS, name, small)


@pytest.fixture
def lite(tmp_path):
    """A lone safetensors file of DC-AE Lite in the official layout."""
    folder = tmp_path / "lite"
    save_checkpoint(random_checkpoint(LITE, seed=1), folder, layout=Layout.OFFICIAL)
    (folder / "config.json").unlink()
    return folder / "model.safetensors"


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("name", [F32, "dc-ae-f64c128-1.5", LITE])
def test_a_checkpoint_survives_being_saved_and_loaded(name, layout, tmp_path):
    saved = random_checkpoint(name, seed=3)
    save_checkpoint(saved, tmp_path / "saved", layout=layout)
    loaded = load_checkpoint(tmp_path / "saved")
    assert (loaded.preset, loaded.config, loaded.sha256) == (name, saved.config, saved.sha256)
    assert loaded.source == str(tmp_path / "saved")
    assert list(loaded.state) == list(saved.state)
    assert all(torch.equal(loaded.state[key], saved.state[key]) for key in saved.state)


def test_conversion_there_and_back_leaves_the_same_file(tmp_path):
    save_checkpoint(random_checkpoint(F32, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    convert(tmp_path / "a", tmp_path / "b", layout=Layout.DIFFUSERS)
    convert(tmp_path / "b", tmp_path / "c", layout=Layout.OFFICIAL)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_the_official_config_is_the_model_name(tmp_path):
    save_checkpoint(random_checkpoint(F32, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    assert json.loads((tmp_path / "a" / "config.json").read_text()) == {"model_name": F32}


def test_a_lone_file_is_known_by_its_tensors_if_one_preset_has_them(lite):
    assert load_checkpoint(lite).preset == LITE


def test_a_dc_ae_needs_no_diffusers(lite, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    load_autoencoder(load_checkpoint(lite))


def test_a_file_name_decides_nothing(lite):
    misnamed = lite.rename(lite.with_name("dc-ae-f64c128-in-1.0.safetensors"))
    assert load_checkpoint(misnamed).preset == LITE


def test_a_lone_file_that_several_presets_fit_needs_a_variant(tmp_path):
    save_checkpoint(random_checkpoint(F32, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    (tmp_path / "a" / "config.json").unlink()
    file = tmp_path / "a" / "model.safetensors"
    with pytest.raises(WeightsError, match=f"fit {F32}, .*{F32_MIX}: say which variant"):
        load_checkpoint(file)
    assert load_checkpoint(file, variant=F32_MIX).preset == F32_MIX
    assert load_checkpoint(file, variant="f32").config.scaling_factor == 0.3189


def test_a_lone_file_that_fits_nothing_is_refused(tmp_path):
    config = dataclasses.replace(PRESETS[LITE].config, latent_channels=1)
    save_checkpoint(small_checkpoint(config), tmp_path / "a", layout=Layout.DIFFUSERS)
    (tmp_path / "a" / "config.json").unlink()
    with pytest.raises(WeightsError, match="fit no published autoencoder"):
        load_checkpoint(tmp_path / "a")


def test_a_custom_configuration_is_known_by_diffusers_config(tmp_path):
    config = dataclasses.replace(PRESETS[LITE].config, latent_channels=1)
    checkpoint = small_checkpoint(config)
    save_checkpoint(checkpoint, tmp_path / "a", layout=Layout.DIFFUSERS)
    loaded = load_checkpoint(tmp_path / "a")
    assert (loaded.preset, loaded.config) == ("custom", config)
    with pytest.raises(ConfigError, match="can only name a published autoencoder"):
        save_checkpoint(checkpoint, tmp_path / "b", layout=Layout.OFFICIAL)


def test_a_scaling_factor_tells_presets_of_one_graph_apart(tmp_path):
    save_checkpoint(random_checkpoint(F32_MIX, seed=1), tmp_path / "a", layout=Layout.DIFFUSERS)
    assert load_checkpoint(tmp_path / "a").preset == F32_MIX


def test_presets_of_one_configuration_are_not_guessed_between(tmp_path):
    save_checkpoint(random_checkpoint(SANA, seed=1), tmp_path / "a", layout=Layout.DIFFUSERS)
    with pytest.raises(WeightsError, match=r"sana-1\.0, dc-ae-f32c32-sana-1\.1: say which"):
        load_checkpoint(tmp_path / "a")
    loaded = load_checkpoint(tmp_path / "a", variant="dc-ae-f32c32-sana-1.1")
    assert loaded.preset == "dc-ae-f32c32-sana-1.1"


@pytest.mark.parametrize("layout", Layout)
def test_a_variant_that_contradicts_config_json_is_refused(tmp_path, layout):
    save_checkpoint(random_checkpoint(F32, seed=1), tmp_path / "a", layout=layout)
    with pytest.raises(WeightsError, match=F32_MIX):
        load_checkpoint(tmp_path / "a", variant=F32_MIX)


def test_a_variant_that_contradicts_the_tensors_is_refused(lite):
    with pytest.raises(WeightsError, match=f"not the weights of {SANA}: .* is missing; "):
        load_checkpoint(lite, variant=SANA)


def test_config_json_that_contradicts_the_tensors_is_refused(lite):
    lite.with_name("config.json").write_text(json.dumps({"model_name": SANA}))
    with pytest.raises(WeightsError, match=f"not the weights of {SANA}"):
        load_checkpoint(lite)


def test_a_model_name_may_be_that_of_the_repository(lite):
    lite.with_name("config.json").write_text('{"model_name": "dc-ae-lite-f32c32"}')
    assert load_checkpoint(lite).preset == LITE


def test_an_unknown_model_name_leaves_the_variant_to_the_user(lite):
    lite.with_name("config.json").write_text('{"model_name": "dc-ae-f99"}')
    with pytest.raises(WeightsError, match="unknown model_name 'dc-ae-f99'"):
        load_checkpoint(lite)
    assert load_checkpoint(lite, variant=LITE).preset == LITE


def test_an_unknown_variant_is_a_usage_error(lite):
    with pytest.raises(UsageError, match="unknown variant"):
        load_checkpoint(lite, variant="f99")


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"model_name": 3}', "\xff"])
def test_a_malformed_config_is_an_input_error(lite, content):
    lite.with_name("config.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"config\.json|model\.safetensors"):
        load_checkpoint(lite)


def delete_one(tensors):
    del tensors["decoder.project_out.op_list.0.weight"]


def add_one(tensors):
    tensors["quant_conv.weight"] = torch.zeros(1)


def transpose_one(tensors):
    name = "decoder.project_in.main.conv.weight"
    tensors[name] = tensors[name].transpose(0, 1).contiguous()


def make_integer(tensors):
    tensors["decoder.project_out.op_list.0.weight"] = torch.ones(16, dtype=torch.int64)


def make_double(tensors):
    tensors["decoder.project_out.op_list.0.weight"] = torch.ones(16, dtype=torch.float64)


def put_nan(tensors):
    tensors["decoder.project_out.op_list.0.weight"][3] = torch.nan


def put_infinity(tensors):
    tensors["decoder.project_out.op_list.0.weight"][3] = -torch.inf


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (delete_one, r"decoder\.project_out\.op_list\.0\.weight is missing"),
        (add_one, r"quant_conv\.weight is unknown"),
        (
            transpose_one,
            r"decoder\.project_in\.main\.conv\.weight has shape \[2, 64, 3, 3\] for \[64, 2, 3, 3\]",
        ),
        (make_integer, r"decoder\.project_out\.op_list\.0\.weight has dtype torch\.int64"),
        (make_double, r"decoder\.project_out\.op_list\.0\.weight has dtype torch\.float64"),
        (put_nan, r"decoder\.norm_out\.weight is not finite"),
        (put_infinity, r"decoder\.norm_out\.weight is not finite"),
    ],
)
def test_each_tensor_has_to_be_as_expected(lite, change, fault):
    rewrite(lite, change)
    with pytest.raises(WeightsError, match=f"not the weights of {LITE}: {fault}$"):
        load_checkpoint(lite, variant=LITE)


def test_of_many_faults_ten_are_listed(lite):
    rewrite(lite, lambda tensors: [tensors.pop(name) for name in sorted(tensors)[:25]])
    with pytest.raises(WeightsError, match="; and 15 more") as raised:
        load_checkpoint(lite, variant=LITE)
    assert str(raised.value).count("is missing") == 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(lite, dtype):
    before = load_checkpoint(lite)
    rewrite(lite, lambda tensors: tensors.update({n: t.to(dtype) for n, t in tensors.items()}))
    after = load_checkpoint(lite)
    assert {tensor.dtype for tensor in after.state.values()} == {torch.float32}
    assert all(torch.equal(after.state[k], before.state[k].to(dtype).float()) for k in after.state)


def drop_counters(tensors):
    for name in [name for name in tensors if name.endswith("num_batches_tracked")]:
        del tensors[name]


def drop_one_counter(tensors):
    del tensors["decoder.stages.1.op_list.1.main.conv2.norm.num_batches_tracked"]


def test_counters_of_batches_may_be_absent_altogether(tmp_path):
    saved = random_checkpoint(F32, seed=1)
    save_checkpoint(saved, tmp_path / "a", layout=Layout.OFFICIAL)
    rewrite(tmp_path / "a" / "model.safetensors", drop_counters)
    loaded = load_checkpoint(tmp_path / "a")
    assert loaded.sha256 == saved.sha256
    load_autoencoder(loaded)


def test_a_single_counter_must_not_be_absent(tmp_path):
    save_checkpoint(random_checkpoint(F32, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    rewrite(tmp_path / "a" / "model.safetensors", drop_one_counter)
    with pytest.raises(WeightsError, match="num_batches_tracked is missing"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize(
    "wrap", [lambda state: state, lambda state: {"state_dict": state, "step": 3}]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_training_checkpoint_is_read(lite, suffix, wrap, zipped):
    file = lite.with_name("trained" + suffix)
    torch.save(wrap(load_file(lite)), file, _use_new_zipfile_serialization=zipped)
    assert load_checkpoint(file).sha256 == load_checkpoint(lite).sha256


def test_a_training_checkpoint_in_another_memory_format_can_be_converted(lite, tmp_path):
    tensors = load_file(lite)
    for name, tensor in tensors.items():
        if tensor.ndim == 4:
            tensors[name] = tensor.to(memory_format=torch.channels_last)
    torch.save(tensors, lite.with_name("trained.pt"))
    converted = convert(lite.with_name("trained.pt"), tmp_path / "b", layout=Layout.DIFFUSERS)
    assert converted.sha256 == load_checkpoint(tmp_path / "b").sha256
    assert converted.sha256 == load_checkpoint(lite).sha256


def test_shards_are_read_through_their_index(lite):
    whole = load_checkpoint(lite)
    tensors = load_file(lite)
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:100], names[100:]), start=1):
        shard = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, lite.with_name(shard))
        weight_map |= dict.fromkeys(part, shard)
    lite.unlink()
    index = lite.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert load_checkpoint(lite.parent).sha256 == whole.sha256
    index.write_text(json.dumps({"weight_map": weight_map | {"more": shard}}))
    with pytest.raises(WeightsError, match="'more' is in the index or in a shard, but not in both"):
        load_checkpoint(lite.parent)


def test_a_pipeline_has_its_autoencoder_in_vae(tmp_path):
    save_checkpoint(random_checkpoint(LITE, seed=1), tmp_path / "p/vae", layout=Layout.DIFFUSERS)
    (tmp_path / "p" / "model_index.json").write_text("{}")
    assert load_checkpoint(tmp_path / "p").preset == LITE


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"holds none of model\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_folder_with_two_layouts_is_refused(lite):
    lite.with_name("diffusion_pytorch_model.safetensors").write_bytes(lite.read_bytes())
    with pytest.raises(WeightsError, match="give the file that is meant"):
        load_checkpoint(lite.parent)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\ntags: []\n---\n# Title\n", "apache-2.0"),
        ("---\ntags: []\n---\nlicense: mit\n", None),
        ("# Title\n---\nlicense: mit\n---\n", None),
        ("", None),
        (None, None),
    ],
)
def test_the_licence_is_what_the_model_card_says(lite, card, licence):
    if card is not None:
        lite.with_name("README.md").write_text(card)
    assert load_checkpoint(lite).licence == licence


def test_the_autoencoder_is_ready_for_inference_and_shares_the_checkpoint_tensors(lite):
    checkpoint = load_checkpoint(lite)
    autoencoder = load_autoencoder(checkpoint)
    assert not autoencoder.training
    assert not any(parameter.requires_grad for parameter in autoencoder.parameters())
    for key, tensor in autoencoder.state_dict().items():
        assert tensor.data_ptr() == checkpoint.state[key].data_ptr()
    assert autoencoder(random_input(1, 3, 32, 64)).shape == (1, 3, 32, 64)


def test_random_weights_depend_on_the_seed_alone():
    first, again, other = (random_checkpoint("f32", seed=seed) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert (first.preset, first.source, first.licence) == (F32, "random:1", None)


def test_the_digest_is_that_of_names_shapes_and_float32_values():
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1)}
    digest = state_digest(state)
    assert digest == state_digest(dict(reversed(state.items())))
    assert digest == state_digest({"a": state["a"].half(), "b": state["b"].bfloat16()})
    assert digest == state_digest(state | {"n.num_batches_tracked": torch.tensor(3)})
    assert digest != state_digest({"a": state["a"].reshape(3, 2), "b": state["b"]})
    assert digest != state_digest({"a": state["a"], "c": state["b"]})
    assert digest != state_digest({"a": state["a"] + 1e-6, "b": state["b"]})


def test_an_existing_folder_is_replaced_by_force_only(tmp_path):
    first, second = (random_checkpoint(LITE, seed=seed) for seed in (1, 2))
    save_checkpoint(first, tmp_path / "a", layout=Layout.OFFICIAL)
    with pytest.raises(InputError, match="exists already"):
        save_checkpoint(second, tmp_path / "a", layout=Layout.OFFICIAL)
    assert load_checkpoint(tmp_path / "a").sha256 == first.sha256
    save_checkpoint(second, tmp_path / "a", layout=Layout.OFFICIAL, force=True)
    assert load_checkpoint(tmp_path / "a").sha256 == second.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("other", ["thesis.tex", "README.md"])
def test_a_folder_with_other_things_is_never_replaced(tmp_path, other):
    checkpoint = random_checkpoint(LITE, seed=1)
    save_checkpoint(checkpoint, tmp_path / "a", layout=Layout.OFFICIAL)
    (tmp_path / "a" / other).touch()
    with pytest.raises(InputError, match=rf"more than a checkpoint \({other}\)"):
        save_checkpoint(checkpoint, tmp_path / "a", layout=Layout.OFFICIAL, force=True)
    assert (tmp_path / "a" / other).exists()


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="is no folder"):
        save_checkpoint(
            random_checkpoint(LITE, seed=1), tmp_path / "a", layout=Layout.OFFICIAL, force=True
        )


@pytest.mark.parametrize(
    ("number", "error"), [(28, ResourceError), (13, InputError)], ids=["full", "forbidden"]
)
def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch, number, error):
    def fail(*args, **options):
        raise OSError(number, "no")

    monkeypatch.setattr(checkpoint_folder, "sync_folder", fail)
    with pytest.raises(error):
        save_checkpoint(random_checkpoint(LITE, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    assert not list(tmp_path.iterdir())


def test_space_is_asked_for_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(ResourceError, match="are needed"):
        save_checkpoint(random_checkpoint(LITE, seed=1), tmp_path / "a", layout=Layout.OFFICIAL)
    assert not list(tmp_path.iterdir())
