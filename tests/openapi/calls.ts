// Calls every operation with openapi-fetch and the types of openapi-typescript, and prints the names of those that
// answered: `node calls.ts URL PNG`. `tsc` checks the types; the table must name each operation of the document.
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { operations, paths } from "./generated/schema.d.ts";

const [url, file] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url });
const png = new Blob([readFileSync(file)], { type: "image/png" });
const path = { name: "mnist-conv" };

// In the document, a file is a text of bytes. The type of the body is kept, and the form is made here.
function form(field: string, count: number) {
    return (): FormData => {
        const data = new FormData();
        for (let sent = 0; sent < count; sent++) data.append(field, png, "seven.png");
        return data;
    };
}

const drawn = await client.GET("/v1/samples", { params: { query: { n: 2, seed: 7, format: "json" } } });
const samples = drawn.data;
if (typeof samples !== "object") throw new Error(`no samples: ${JSON.stringify(drawn.error)}`);
const { latent, png: image } = samples.samples[0]!;
const body = { latents: [latent], model: samples.model, format: "json" as const, seed: null };
const again = await client.POST("/v1/samples", { body });
if (typeof again.data !== "object") throw new Error(`no samples: ${JSON.stringify(again.error)}`);
if (again.data.samples[0]!.png !== image) throw new Error("the image of a posted latent is another");

const calls: Record<keyof operations, () => Promise<{ response: Response; data?: unknown }>> = {
    get_samples: () => client.GET("/v1/samples", { params: { query: { seed: 7 } }, parseAs: "blob" }),
    post_samples: () => client.POST("/v1/samples", { body }),
    get_interpolation: () => client.GET("/v1/interpolations", { params: { query: { seeds: "1,2", format: "json" } } }),
    post_score: () => client.POST("/v1/score", { body: { files: [] }, bodySerializer: form("files", 2) }),
    post_projection: () => client.POST("/v1/projections", { body: { file: "" }, bodySerializer: form("file", 1) }),
    list_models: () => client.GET("/v1/models"),
    get_model: () => client.GET("/v1/models/{name}", { params: { path } }),
    get_history: () => client.GET("/v1/models/{name}/history", { params: { path } }),
    get_timeline: () => client.GET("/v1/models/{name}/timeline", { params: { path } }),
    get_timeline_picture: () =>
        client.GET("/v1/models/{name}/timeline/{epoch}.png", { params: { path: { ...path, epoch: 0 } }, parseAs: "blob" }),
    get_health: () => client.GET("/healthz"),
    get_readiness: () => client.GET("/readyz"),
    get_metrics: () => client.GET("/metrics", { parseAs: "text" }),
};
for (const [name, call] of Object.entries(calls)) {
    const { response, data } = await call();
    if (response.status !== 200 || data === undefined) throw new Error(`${name}: ${response.status}`);
    console.log(name);
}
