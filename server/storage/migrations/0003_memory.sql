ALTER TABLE `memories` ADD `key` text;
--> statement-breakpoint
ALTER TABLE `memories` ADD `embedding` blob;
--> statement-breakpoint
ALTER TABLE `memories` ADD `embedding_model` text;
--> statement-breakpoint
CREATE INDEX `screenshots_by_id` ON `screenshots` (`id`);
