import dataclasses
import json

import pytest
import torch
from autoencoders import shrink
from safetensors.torch import load_file, save_file
from small_transformers import SMALL_DIT, SMALL_UVIT, transformer_inputs
from stored_tensors import rewrite
from tiny_diffusion_training import small_declaration

from dcae_export.errors import InputError, RefusedError, UsageError, WeightsError
from dcae_export.models.dit import SinCosPositions
from dcae_export.models.halves import split_checkpoint
from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.models.transformer_presets import TRANSFORMERS
from dcae_export.models.transformer_weights import (
    build_transformer,
    load_transformer,
    load_transformer_checkpoint,
    random_transformer_checkpoint,
    save_transformer,
)
from dcae_export.models.weights import load_checkpoint, random_checkpoint, save_checkpoint

F32, F64 = "dc-ae-f32c32-in-1.0", "dc-ae-f64c128-in-1.0"
DIT, UVIT = f"{F32}-dit-xl-in-512px", f"{F32}-uvit-h-in-512px"


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Published names for small networks."""
    for name, config in ((DIT, SMALL_DIT), (UVIT, SMALL_UVIT)):
        monkeypatch.setitem(
            TRANSFORMERS, name, dataclasses.replace(TRANSFORMERS[name], config=config)
        )
    small = dataclasses.replace(PRESETS[F32], config=shrink(PRESETS[F32].config))
    monkeypatch.setitem(PRESETS, F32, small)


def write(path, name, *, prefix="", seed=1):
    """A file of random weights."""
    state = random_transformer_checkpoint(name, autoencoder="f32", seed=seed).state
    save_file({prefix + key: tensor for key, tensor in state.items()}, path)
    return path


@pytest.fixture(params=[DIT, UVIT], ids=["dit", "uvit"])
def name(request):
    return request.param


@pytest.fixture
def file(tmp_path, name):
    return write(tmp_path / "model.safetensors", name)


@pytest.fixture
def dit_file(tmp_path):
    return write(tmp_path / "model.safetensors", DIT)


@pytest.fixture
def both(tmp_path):
    """A folder as it is published: autoencoder and DiT in one file."""
    save_checkpoint(random_checkpoint("f32", seed=2), tmp_path / "a", layout=Layout.OFFICIAL)
    autoencoder = load_file(tmp_path / "a" / "model.safetensors")
    transformer = random_transformer_checkpoint("dit-xl", autoencoder="f32", seed=1).state
    folder = tmp_path / "both"
    folder.mkdir()
    save_file(
        {f"autoencoder.{key}": tensor for key, tensor in autoencoder.items()}
        | {f"diffusion_model.{key}": tensor for key, tensor in transformer.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps({"model_name": DIT}))
    return folder


def load(path, name=DIT):
    return load_transformer_checkpoint(path, name=name, autoencoder="f32")


@pytest.mark.parametrize("prefix", ["", "diffusion_model."])
def test_a_transformer_survives_being_saved_and_loaded(tmp_path, name, prefix):
    saved = random_transformer_checkpoint(name, autoencoder="f32", seed=1)
    loaded = load(write(tmp_path / "model.safetensors", name, prefix=prefix), name)
    assert dataclasses.replace(loaded, state={}, source="random:1") == dataclasses.replace(
        saved, state={}
    )
    assert loaded.source == str(tmp_path / "model.safetensors")
    assert loaded.state.keys() == saved.state.keys()
    assert all(torch.equal(loaded.state[key], saved.state[key]) for key in saved.state)


def test_a_checkpoint_says_how_it_is_sampled(name, file):
    loaded, preset = load(file, name), TRANSFORMERS[name]
    assert (loaded.diffusion, loaded.default_sampler, loaded.default_guidance) == (
        preset.diffusion,
        preset.default_sampler,
        preset.default_guidance,
    )


def test_a_network_is_ready_for_inference_and_shares_the_checkpoint_tensors(name, file):
    checkpoint = load(file, name)
    network = load_transformer(checkpoint)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    for key, tensor in network.state_dict().items():
        assert tensor.data_ptr() == checkpoint.state[key].data_ptr()
    assert network(*transformer_inputs(checkpoint.config)).isfinite().all()


def test_random_transformers_depend_on_the_seed_alone(name):
    first, again, other = (
        random_transformer_checkpoint(name, autoencoder="f32", seed=seed) for seed in (1, 1, 2)
    )
    assert first.sha256 == again.sha256 != other.sha256
    assert (first.preset, first.source, first.licence) == (name, "random:1", None)


def delete_one(tensors):
    del tensors["blocks.1.attn.proj.weight"]


def add_one(tensors):
    tensors["blocks.2.attn.proj.weight"] = torch.zeros(24, 24)


def transpose_one(tensors):
    tensors["blocks.0.attn.qkv.weight"] = tensors["blocks.0.attn.qkv.weight"].T.contiguous()


def make_double(tensors):
    tensors["blocks.0.attn.qkv.bias"] = tensors["blocks.0.attn.qkv.bias"].double()


def put_nan(tensors):
    tensors["y_embedder.embedding_table.weight"][5, 3] = torch.nan


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (delete_one, r"blocks\.1\.attn\.proj\.weight is missing"),
        (add_one, r"blocks\.2\.attn\.proj\.weight is unknown"),
        (transpose_one, r"blocks\.0\.attn\.qkv\.weight has shape \[24, 72\] for \[72, 24\]"),
        (make_double, r"blocks\.0\.attn\.qkv\.bias has dtype torch\.float64"),
        (put_nan, r"y_embedder\.embedding_table\.weight is not finite"),
    ],
)
def test_each_tensor_of_a_transformer_has_to_be_as_expected(dit_file, change, fault):
    rewrite(dit_file, change)
    with pytest.raises(WeightsError, match=f"not the weights of {DIT}: {fault}$"):
        load(dit_file)


def test_of_many_faults_of_a_transformer_ten_are_listed(dit_file):
    rewrite(dit_file, lambda tensors: [tensors.pop(key) for key in sorted(tensors)[:12]])
    with pytest.raises(WeightsError, match="; and 2 more") as raised:
        load(dit_file)
    assert str(raised.value).count("is missing") == 10


def test_the_weights_of_another_network_are_refused(dit_file):
    with pytest.raises(WeightsError, match=f"not the weights of {UVIT}: pos_embed is missing"):
        load(dit_file, UVIT)


def test_learned_positions_are_weights(tmp_path):
    file = write(tmp_path / "model.safetensors", UVIT)
    rewrite(file, lambda tensors: tensors.pop("pos_embed"))
    with pytest.raises(WeightsError, match="pos_embed is missing"):
        load(file, UVIT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_fixed_table_of_positions_is_checked_and_not_kept(dit_file, dtype):
    without = load(dit_file)
    table = SinCosPositions(SMALL_DIT.width)(4, 4)[None]
    rewrite(dit_file, lambda tensors: tensors.update(pos_embed=table.to(dtype)))
    loaded = load(dit_file)
    assert loaded.sha256 == without.sha256
    assert "pos_embed" not in loaded.state


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.roll(12, dims=2),
        lambda table: table * 1.01,
        lambda table: table[:, :15],
        lambda table: table.index_fill(1, torch.tensor([3]), torch.nan),
    ],
    ids=["rows before columns", "stretched", "another grid", "not finite"],
)
def test_another_table_of_positions_is_refused(dit_file, spoil):
    table = spoil(SinCosPositions(SMALL_DIT.width)(4, 4)[None]).contiguous()
    rewrite(dit_file, lambda tensors: tensors.update(pos_embed=table))
    with pytest.raises(WeightsError, match="not the table of 4x4 positions at width 24"):
        load(dit_file)


def test_half_precision_of_a_transformer_is_widened(dit_file):
    before = load(dit_file)
    rewrite(dit_file, lambda tensors: tensors.update({k: t.half() for k, t in tensors.items()}))
    after = load(dit_file)
    assert {tensor.dtype for tensor in after.state.values()} == {torch.float32}
    assert all(torch.equal(after.state[k], before.state[k].half().float()) for k in after.state)


def test_a_file_of_both_networks_gives_each_to_its_loader(both):
    transformer = random_transformer_checkpoint("dit-xl", autoencoder="f32", seed=1)
    autoencoder = random_checkpoint("f32", seed=2)
    assert load(both).sha256 == transformer.sha256
    # config.json names the transformer, which names its autoencoder.
    loaded = load_checkpoint(both)
    assert (loaded.preset, loaded.sha256) == (F32, autoencoder.sha256)
    (both / "config.json").unlink()
    assert load_checkpoint(both, variant="f32").sha256 == autoencoder.sha256


def test_a_file_is_split_whole(both):
    stored = load_file(both / "model.safetensors")
    halves = split_checkpoint(stored)
    assert len(halves.autoencoder) + len(halves.transformer) == len(stored)
    assert all(name.startswith(("encoder.", "decoder.")) for name in halves.autoencoder)
    again = split_checkpoint(halves.autoencoder)
    assert (again.autoencoder, again.transformer) == (halves.autoencoder, {})
    alone = split_checkpoint(halves.transformer)
    assert (alone.autoencoder, alone.transformer) == ({}, halves.transformer)


def test_a_name_of_neither_network_is_refused(both):
    file = both / "model.safetensors"
    rewrite(file, lambda tensors: tensors.update(step=torch.ones(1)))
    with pytest.raises(WeightsError, match=r"step belongs neither to autoencoder\.\*"):
        load(both)
    with pytest.raises(WeightsError, match=r"step belongs neither to autoencoder\.\*"):
        load_checkpoint(both)


def test_an_autoencoder_is_no_transformer(tmp_path):
    save_checkpoint(random_checkpoint("f32", seed=2), tmp_path / "a", layout=Layout.OFFICIAL)
    with pytest.raises(WeightsError, match="holds no diffusion transformer"):
        load(tmp_path / "a")


def test_a_transformer_is_no_autoencoder(dit_file):
    with pytest.raises(WeightsError, match="not named as a DC-AE's or an SD-VAE's"):
        load_checkpoint(dit_file, variant="f32")


def test_config_json_that_names_another_transformer_is_refused(both):
    with pytest.raises(WeightsError, match=f"says {DIT}, but {DIT}-trainbs1024 was asked for"):
        load(both, f"{DIT}-trainbs1024")


@pytest.mark.parametrize("content", ['{"model_name": "mine"}', "{}", '{"model_name": ["x"]}'])
def test_a_config_json_that_names_nothing_known_decides_nothing(dit_file, content):
    dit_file.with_name("config.json").write_text(content)
    assert load(dit_file).preset == DIT


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state}])
def test_a_training_checkpoint_of_a_transformer_is_read(dit_file, wrap):
    torch.save(wrap(load_file(dit_file)), dit_file.with_suffix(".pt"))
    assert load(dit_file.with_suffix(".pt")).sha256 == load(dit_file).sha256


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(RefusedError, match="nothing in it was run"):
        load(tmp_path / "model.pt")


def test_the_licence_of_a_transformer_is_what_the_model_card_says(dit_file):
    dit_file.with_name("README.md").write_text("---\nlicense: mit\n---\n")
    assert load(dit_file).licence == "mit"


def test_an_unknown_transformer_is_a_usage_error_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="unknown transformer"):
        load(tmp_path / "nothing", "dit-xxl")


@pytest.fixture(params=["dit", "uvit", "usit"])
def trained(request, tmp_path):
    """A folder that says what it is, and its weights."""
    declaration = small_declaration(request.param)
    state = random_state(build_transformer(declaration.config()), seed=3)
    save_transformer(declaration, state, tmp_path / "trained", force=False)
    return tmp_path / "trained", declaration, state


def test_a_trained_transformer_is_read_without_a_name(trained):
    folder, declaration, state = trained
    for path in (folder, folder / "diffusion_pytorch_model.safetensors"):
        loaded = load_transformer_checkpoint(path)
        assert (loaded.preset, loaded.source) == ("custom", str(path))
        assert (loaded.config, loaded.diffusion) == (
            declaration.config(),
            declaration.diffusion(),
        )
        assert loaded.trained_on == declaration.autoencoder
        assert all(torch.equal(loaded.state[name], state[name]) for name in state)


def test_a_name_beside_a_trained_transformer_is_compared(trained, monkeypatch):
    folder, declaration, _ = trained
    # Two layers are no published size: one of that size goes by the name.
    config, diffusion = declaration.config(), declaration.diffusion()
    alike = dataclasses.replace(TRANSFORMERS[DIT], config=config, diffusion=diffusion)
    monkeypatch.setitem(TRANSFORMERS, DIT, alike)
    assert load_transformer_checkpoint(folder, name=DIT, autoencoder="f32").preset == "custom"
    with pytest.raises(WeightsError, match="a training of another network than uvit-s"):
        load_transformer_checkpoint(folder, name="uvit-s", autoencoder="f32")
    with pytest.raises(UsageError, match="unknown transformer"):
        load_transformer_checkpoint(folder, name="uvit-x")


def test_tensors_that_are_not_what_config_json_says_are_refused(trained):
    folder, _, _ = trained
    path = folder / "config.json"
    path.write_text(
        path.read_text()
        .replace('"num_classes": 3', '"num_classes": 4')
        .replace('"stripe"', '"stripe", "more"')
    )
    with pytest.raises(WeightsError, match=r"what config\.json says: .* shape"):
        load_transformer_checkpoint(folder)


def test_a_malformed_config_json_of_a_transformer_names_file_and_key(trained):
    folder, _, _ = trained
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"heads": 2', '"heads": "two"'))
    with pytest.raises(WeightsError, match=f"^{folder}: config.json: heads: "):
        load_transformer_checkpoint(folder)


def test_a_published_transformer_is_known_by_its_config_json(both):
    loaded = load_transformer_checkpoint(both)
    assert (loaded.preset, loaded.sha256) == (DIT, load(both).sha256)


@pytest.mark.parametrize("content", ["{}", '{"model_name": "mine"}'])
def test_what_nothing_names_is_a_usage_error(dit_file, content):
    dit_file.with_name("config.json").write_text(content)
    with pytest.raises(UsageError, match="nothing says which transformer this is"):
        load_transformer_checkpoint(dit_file)


def test_a_trained_transformer_is_replaced_only_by_force(trained):
    folder, declaration, state = trained
    with pytest.raises(InputError, match="exists already"):
        save_transformer(declaration, state, folder, force=False)
    save_transformer(declaration, state, folder, force=True)
